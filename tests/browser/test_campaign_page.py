"""A marketer without a mouse signs in, watches a campaign and steers it; the browser finds nothing to complain of."""

from typing import Any

from api.context import ApiContext
from notifications.database import Sessions, transaction
from notifications.tables import Campaign
from tests.api.support import TOKEN
from tests.support.api_server import ApiServer
from tests.support.browser import Tab
from tests.support.campaign_messages import insert_with_messages, set_status
from tests.support.campaigns import campaign_of

STATUSES: list[Any] = ["sent", "sending", ("skipped", "opted_out"), *["pending"] * 6]


async def sign_in(tab: Tab) -> None:
    await tab.until("location.pathname === '/sign-in' && document.activeElement.id === 'name'")
    await tab.type("Ana")
    await tab.press("Tab")
    await tab.type(TOKEN)
    await tab.press("Enter")
    await tab.until("document.querySelector('#live')?.dataset.live === 'yes'")


async def test_a_campaign_is_watched_and_steered_by_keyboard(tab: Tab, server: ApiServer, sessions: Sessions) -> None:
    campaign = await insert_with_messages(sessions, STATUSES, per_second=7.0)
    await tab.look(width=360, dark=True)
    await tab.ask("Page.navigate", url=f"{server.url}/campaigns/{campaign}")
    await sign_in(tab)

    await set_status(sessions, campaign, 2, "sent")
    await tab.until("document.querySelector('.counts .sent dd').innerText === '2'")
    assert await tab.value("document.documentElement.scrollWidth") == 360

    await tab.focus_by_keyboard("#per-second")
    await tab.type("0")
    await tab.press("Enter")
    await tab.until("document.querySelector('#answer').innerText.includes('A rate is a number above 0')")
    await tab.focus_by_keyboard("#toggle-button")
    assert await tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await tab.press("Enter")
    await tab.until("document.querySelector('#answer .done')")
    assert "still waiting" in await tab.text("#answer")
    await tab.until("document.querySelector('#log').innerText.includes('Ana paused it')")
    assert await tab.value("document.activeElement.innerText") == "Resume"
    await tab.until("document.querySelector('#spoken').innerText === 'The campaign is paused, 30 % done.'")

    await tab.focus_by_keyboard(".cancel summary")
    await tab.press("Enter")
    await tab.focus_by_keyboard("#cancel-button")
    await tab.press("Enter")
    await tab.until("document.querySelector('#live').dataset.live === 'over'")
    assert (await campaign_of(sessions, campaign)).state == "cancelled"
    assert await tab.text(".counts .cancelled dd") == "6"
    assert not await tab.value("document.querySelector('.rate').checkVisibility()")
    assert [each for each in tab.complaints if "422" not in each] == []


async def test_a_page_that_lost_its_server_says_so_and_comes_back(
    tab: Tab, server: ApiServer, sessions: Sessions, context: ApiContext
) -> None:
    campaign = await insert_with_messages(sessions, STATUSES)
    await tab.ask("Page.navigate", url=f"{server.url}/campaigns/{campaign}")
    await sign_in(tab)
    context.closing.set()  # as a process does that is asked to stop
    await server.stop()
    await tab.until("document.querySelector('#live').dataset.live === 'no'")
    await tab.focus_by_keyboard("#toggle-button")
    await tab.press("Enter")
    await tab.until("document.querySelector('#answer').innerText.includes('does not answer')")
    async with transaction(sessions) as session:
        (await session.get_one(Campaign, campaign)).state = "paused"
    context.closing.clear()
    await server.start()
    await tab.until("document.querySelector('#live').dataset.live === 'yes'")
    await tab.until("document.querySelector('#toggle-button').innerText === 'Resume'")
    await set_status(sessions, campaign, 2, "sent")
    async with transaction(sessions) as session:
        (await session.get_one(Campaign, campaign)).state = "completed"
    await tab.until("document.querySelector('#live').dataset.live === 'over'")
    assert not await tab.value("Boolean(document.querySelector('#toggle-button'))")
