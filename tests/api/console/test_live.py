"""A campaign's page as it changes: every part at once, then what is another one than before, then the end."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from api.console.live import PARTS
from api.context import ApiContext
from notifications.database import Sessions, transaction
from notifications.tables import Campaign
from tests.api.support import TOKEN, app_with
from tests.support.api_server import ApiServer
from tests.support.campaign_messages import insert_with_messages, set_status

PATIENCE = 30.0  # seconds


@pytest.fixture
async def ana(context: ApiContext) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in, over a real socket: a client in memory would get the stream when it has ended."""
    server = ApiServer(lambda: app_with(context))
    await server.start()
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
        await client.post("/sign-in", data={"name": "Ana", "token": TOKEN})
        yield client
    context.closing.set()
    await server.stop()


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str]]:
    name, html = "", ""
    async for line in answer.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            html += line.removeprefix("data: ") + "\n"
        elif not line and name:
            yield name, html
            name, html = "", ""


async def test_only_what_has_changed_is_sent_again(ana: httpx.AsyncClient, sessions: Sessions) -> None:
    campaign = await insert_with_messages(sessions, ["sent", "sending", "pending"])
    async with ana.stream("GET", f"/campaigns/{campaign}/live") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen = events(answer)
        first = [await anext(seen) for _ in (*PARTS, "spoken")]
        assert [name for name, _ in first] == [*PARTS, "spoken"]
        await set_status(sessions, campaign, 2, "sent")
        name, html = await anext(seen)
        assert name == "numbers"
        assert "<b>66 %</b>" in html
        async with transaction(sessions) as session:
            (await session.get_one(Campaign, campaign)).state = "completed"
        rest = [each async for each in seen]
        assert [name for name, _ in rest if name in {"state", "toggle", "end"}] == ["state", "toggle", "end"]
        assert dict(rest)["spoken"] == "The campaign is completed, 60 % done.\n"


async def test_who_comes_again_after_the_end_gets_all_of_it_and_the_end(
    ana: httpx.AsyncClient, sessions: Sessions
) -> None:
    campaign = await insert_with_messages(sessions, ["sent"], state="completed")
    for _ in range(2):
        answer = await ana.get(f"/campaigns/{campaign}/live")
        assert [name async for name, _ in events(answer)] == [*PARTS, "spoken", "end"]
        assert "event: toggle\ndata: \n\n" in answer.text


async def test_the_streams_button_carries_the_key_of_the_sign_in(ana: httpx.AsyncClient, sessions: Sessions) -> None:
    campaign = await insert_with_messages(sessions, ["pending"])
    async with ana.stream("GET", f"/campaigns/{campaign}/live") as answer:
        toggle = await anext(_toggles(answer))
    key = re.search(r'name="form_key" value="(\w+)"', toggle)
    assert key is not None
    done = await ana.post(f"/campaigns/{campaign}/pause", data={"form_key": key[1]}, headers={"HX-Request": "true"})
    assert done.status_code == 200


async def _toggles(answer: httpx.Response) -> AsyncIterator[str]:
    async for name, html in events(answer):
        if name == "toggle":
            yield html
