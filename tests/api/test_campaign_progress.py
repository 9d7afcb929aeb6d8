"""Progress as it goes: the present state at once, each change, an end, and nothing left of who went away."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from api.context import ApiContext
from api.metrics import PROGRESS_STREAMS
from notifications.campaigns.accounts import Accounts
from notifications.database import Sessions, transaction
from notifications.tables import Campaign
from tests.api.support import TOKEN, app_with
from tests.support.api_server import ApiServer
from tests.support.campaign_messages import insert_with_messages, set_status
from tests.support.programs import eventually

PATIENCE = 20.0  # seconds


@pytest.fixture
async def server(context: ApiContext) -> AsyncIterator[ApiServer]:
    """A real socket: a client in memory could not go away."""
    server = ApiServer(lambda: app_with(context))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def browser(server: ApiServer) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=PATIENCE) as client:
        yield client


async def events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    found: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "data":
            yield found | {"data": json.loads(value)}
            found = {}
        elif name:
            found[name] = value


async def counted(seen: AsyncIterator[dict[str, Any]], by_status: dict[str, int]) -> dict[str, Any]:
    """The first event with these counts: one account is shown to all for up to a second."""
    async with asyncio.timeout(PATIENCE):
        async for event in seen:
            if event["data"]["account"]["by_status"] == by_status:
                return event
    raise AssertionError(f"the stream ended without {by_status}")


def followers() -> float:
    return float(PROGRESS_STREAMS.collect()[0].samples[0].value)


async def test_it_shows_the_state_at_once_then_each_change_then_the_end(browser: httpx.AsyncClient, sessions: Sessions):
    campaign = await insert_with_messages(sessions, ["sent", "sending", ("skipped", "opted_out")])
    async with browser.stream("GET", f"/v1/campaigns/{campaign}/progress") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen = events(answer)
        first = await anext(seen)
        assert (first["retry"], first["event"]) == ("2000", "progress")
        account = first["data"]["account"]
        assert account["targeted"] == 3 == sum(account["by_status"].values())
        await set_status(sessions, campaign, 2, "sent")
        second = await counted(seen, {"sent": 2, "skipped": 1})
        assert 0 < second["data"]["paces"][-1]["per_second"] <= 1
        async with transaction(sessions) as session:
            (await session.get_one(Campaign, campaign)).state = "completed"
        assert [each["event"] async for each in seen][-1] == "end"


async def test_a_browser_that_has_seen_the_end_is_told_to_stay_away(browser: httpx.AsyncClient, sessions: Sessions):
    campaign = await insert_with_messages(sessions, ["sent"], state="completed")
    path = f"/v1/campaigns/{campaign}/progress"
    (last,) = [each async for each in events(await browser.get(path))]
    assert last["event"] == "end"
    assert (await browser.get(path, headers={"Last-Event-ID": last["id"]})).status_code == 204


async def test_who_was_cut_off_comes_again_and_has_missed_nothing(
    browser: httpx.AsyncClient, sessions: Sessions, server: ApiServer, context: ApiContext
):
    campaign = await insert_with_messages(sessions, ["sent", "pending", "pending"])
    path = f"/v1/campaigns/{campaign}/progress"
    async with browser.stream("GET", path) as answer:
        seen = await anext(events(answer))
    context.closing.set()
    await server.stop()
    await set_status(sessions, campaign, 2, "sent")
    context.closing.clear()
    await server.start()
    async with browser.stream("GET", path, headers={"Last-Event-ID": seen["id"]}) as answer:
        following = events(answer)
        again = await counted(following, {"sent": 2, "pending": 1})
        assert again["id"] > seen["id"]
        await set_status(sessions, campaign, 3, "sent")
        await counted(following, {"sent": 3})
    async with transaction(sessions) as session:
        (await session.get_one(Campaign, campaign)).state = "completed"
    (last,) = [each async for each in events(await browser.get(path, headers={"Last-Event-ID": again["id"]}))]
    assert last["event"] == "end"


async def test_the_end_waits_for_calls_that_have_begun(browser: httpx.AsyncClient, sessions: Sessions):
    cancelled = {"state": "cancelled", "cancelled_at": datetime.now(UTC)}
    campaign = await insert_with_messages(sessions, ["sending", "pending"], **cancelled)
    async with browser.stream("GET", f"/v1/campaigns/{campaign}/progress") as answer:
        seen = events(answer)
        first = await anext(seen)
        assert (first["event"], first["data"]["account"]["in_flight"]) == ("progress", 1)
        await set_status(sessions, campaign, 1, "sent")
        last = [each async for each in seen][-1]
    assert last["event"] == "end"
    assert last["data"]["account"]["by_status"] == {"sent": 1, "cancelled": 1}


async def test_nothing_is_left_of_a_client_that_went_away(browser: httpx.AsyncClient, sessions: Sessions):
    campaign = await insert_with_messages(sessions, ["pending"])
    async with browser.stream("GET", f"/v1/campaigns/{campaign}/progress") as answer:
        await anext(events(answer))
        assert followers() == 1
    await eventually(lambda: followers() == 0, seconds=PATIENCE)


async def test_a_process_that_is_asked_to_stop_ends_its_streams(
    browser: httpx.AsyncClient, sessions: Sessions, context: ApiContext
):
    campaign = await insert_with_messages(sessions, ["pending"])
    async with browser.stream("GET", f"/v1/campaigns/{campaign}/progress") as answer:
        seen = events(answer)
        await anext(seen)
        context.closing.set()
        assert [each["event"] async for each in seen] in ([], ["progress"])


async def test_the_pace_is_what_was_accepted_between_two_counts(sessions: Sessions):
    campaign = await insert_with_messages(sessions, ["pending"] * 4)
    accounts = Accounts(sessions)
    before = await accounts.of(campaign)
    assert accounts.paces(campaign) == []
    for seq in (1, 2, 3):
        await set_status(sessions, campaign, seq, "sent")
    await set_status(sessions, campaign, 4, "failed")
    async with asyncio.timeout(PATIENCE):
        while (after := await accounts.of(campaign)) is before:
            await asyncio.sleep(0.05)
    (pace,) = accounts.paces(campaign)
    assert after.at - before.at >= timedelta(seconds=0.9)
    assert pace.per_second == pytest.approx(3 / (after.at - before.at).total_seconds())
