import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from devstack.sandbox.inbox import Accepted, Filter, Inbox, Signal
from devstack.sandbox.server import Sandbox


def _entry(number: int = 1, **changes: object) -> Accepted:
    given = {"provider": "fcm", "channel": "push", "to": f"device-{number}", "key": f"key-{number}", "size": 10}
    return Accepted(**{**given, "parse": lambda: {"title": f"T{number}"}, **changes})


async def _items(client: httpx.AsyncClient, **query: str) -> list[str]:
    answer = await client.get("/api/inbox", params=query)
    assert answer.status_code == 200
    return [entry["content"]["title"] for entry in answer.json()["items"]]


async def test_entries_are_filtered_newest_first(sandbox: Sandbox, client) -> None:
    sandbox.inbox.add(_entry(1, received=1_000_000.0))
    sandbox.inbox.add(_entry(2, provider="smtp", channel="email", to="Ana@Example.org", received=2_000_000.0))
    sandbox.inbox.add(_entry(3, received=3_000_000.0))
    assert await _items(client) == ["T3", "T2", "T1"]
    assert await _items(client, channel="email") == ["T2"]
    assert await _items(client, provider="fcm") == ["T3", "T1"]
    assert await _items(client, to="ana@example.ORG") == ["T2"]
    assert await _items(client, key="key-1") == ["T1"]
    assert await _items(client, since="2000000") == ["T3", "T2"]
    assert await _items(client, since="1970-01-24T04:33:20+01:00") == ["T3", "T2"]
    assert await _items(client, since="1970-01-24T03:33:21Z") == ["T3"]
    assert await _items(client, limit="1") == ["T3"]
    count = (await client.get("/api/inbox/count", params={"channel": "push"})).json()
    assert (count["count"], count["accepted"], count["accepted_by_provider"]) == (2, 3, {"fcm": 2, "smtp": 1})


async def test_a_duplicate_shows_on_every_entry_with_its_key(sandbox: Sandbox, client) -> None:
    for number in (1, 1, 2):
        sandbox.inbox.add(_entry(number))
    items = (await client.get("/api/inbox")).json()["items"]
    assert [entry["accepted_with_key"] for entry in items] == [1, 2, 2]
    count = (await client.get("/api/inbox/count")).json()
    assert (count["distinct_keys"], count["duplicated_keys"], count["duplicates"]) == (2, 1, {"key-1": 2})


async def test_a_duplicate_through_another_provider_counts(sandbox: Sandbox, client) -> None:
    sandbox.inbox.add(_entry(1))
    sandbox.inbox.add(_entry(1, provider="other"))
    assert (await client.get("/api/inbox/count")).json()["duplicated_keys"] == 1


async def test_arrivals_outlive_their_entries_until_the_inbox_is_cleared(client, sandbox: Sandbox) -> None:
    for number in range(3):
        sandbox.inbox.add(_entry(number, provider="smtp" if number == 1 else "fcm", received=1000.5 + number))
    assert (await client.get("/api/inbox/arrivals")).json() == {"arrivals": [1000.5, 1001.5, 1002.5]}
    assert (await client.get("/api/inbox/arrivals", params={"provider": "smtp"})).json() == {"arrivals": [1001.5]}
    await client.delete("/api/inbox")
    assert (await client.get("/api/inbox/arrivals")).json() == {"arrivals": []}


async def test_one_entry_and_none(sandbox: Sandbox, client) -> None:
    entry = _entry()
    sandbox.inbox.add(entry)
    assert (await client.get(f"/api/inbox/{entry.id}")).json()["content"] == {"title": "T1"}
    answer = await client.get("/api/inbox/unknown")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not in the inbox")


async def test_clearing_forgets_keys_too(sandbox: Sandbox, client) -> None:
    sandbox.inbox.add(_entry())
    assert (await client.delete("/api/inbox")).json() == {"cleared": 1}
    sandbox.inbox.add(_entry())
    assert (await client.get("/api/inbox/count")).json()["duplicated_keys"] == 0


@pytest.mark.parametrize("query", [{"since": "yesterday"}, {"limit": "0"}, {"limit": "many"}])
async def test_a_wrong_filter_is_refused(client, query) -> None:
    answer = await client.get("/api/inbox", params=query)
    assert answer.status_code == 422
    assert answer.json()["detail"]


async def test_the_inbox_is_bounded_in_number_and_bytes_but_remembers_keys() -> None:
    inbox = Inbox(max_entries=3, max_bytes=1000)
    for number in range(5):
        inbox.add(_entry(number))
    assert [entry.key for entry in inbox.find(Filter())] == ["key-4", "key-3", "key-2"]
    inbox.add(_entry(9, size=995))
    assert [entry.key for entry in inbox.find(Filter())] == ["key-9"]
    inbox.add(_entry(0))
    assert inbox.times_accepted(inbox.find(Filter(key="key-0"))[0]) == 2
    assert inbox.totals()["accepted"] == 7


async def test_a_viewer_that_is_too_slow_is_told_to_load_again() -> None:
    inbox = Inbox()
    with inbox.feed() as feed:
        for number in range(1000):
            inbox.add(_entry(number))
        heard = [feed.get_nowait() for _ in range(feed.qsize())]
    assert len(heard) == 500
    assert heard[-1] is Signal.RELOAD
    assert Signal.RELOAD not in heard[:-1]


async def _events(client: httpx.AsyncClient, path: str) -> AsyncIterator[tuple[str, dict]]:
    async with client.stream("GET", path) as answer:
        kind = ""
        async for line in answer.aiter_lines():
            if line.startswith("retry:"):
                yield "open", {}
            elif line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))


async def test_the_stream_tells_of_messages_switches_and_clearing(sandbox: Sandbox, client) -> None:
    async with asyncio.timeout(10):
        events = _events(client, "/api/inbox/stream")
        assert await anext(events) == ("open", {})
        sandbox.inbox.add(_entry())
        kind, document = await anext(events)
        assert (kind, document["key"], document["content"]) == ("message", "key-1", {"title": "T1"})
        await client.put("/api/providers/fcm", json={"enabled": False})
        assert (await anext(events))[0] == "board"
        await client.put("/api/faults/fcm", json={"fail_times": 1})
        assert (await anext(events))[0] == "board"
        await client.delete("/api/inbox")
        assert (await anext(events))[0] == "reset"
        assert await anext(events, None) is None


async def test_a_brief_stream_leaves_the_content_out(sandbox: Sandbox, client) -> None:
    async with asyncio.timeout(10):
        events = _events(client, "/api/inbox/stream?brief=1")
        await anext(events)
        sandbox.inbox.add(_entry())
        kind, document = await anext(events)
        assert (kind, set(document)) == ("message", {"id", "channel"})
        await events.aclose()


async def test_the_sandbox_stops_though_a_viewer_listens(sandbox: Sandbox, client) -> None:
    events = _events(client, "/api/inbox/stream")
    await anext(events)
    begun = time.monotonic()
    await sandbox.stop()
    assert time.monotonic() - begun < 5
    with pytest.raises((StopAsyncIteration, httpx.HTTPError)):
        await anext(events)
