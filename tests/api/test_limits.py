import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from starlette.types import Message, Receive, Scope, Send

from api.limits import MAX_BODY, MAX_FORM, BodyLimit


async def _echo_size(scope: Scope, receive: Receive, send: Send) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def _client(**limits: Any) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(BodyLimit(_echo_size, **limits)), base_url="http://localhost")


async def _stream(chunks: int) -> AsyncIterator[bytes]:
    for _ in range(chunks):
        yield b"x" * 100


async def test_a_body_within_the_limit_arrives_whole() -> None:
    async with _client(max_body=1000) as client:
        assert (await client.post("/", content=_stream(10))).text == "1000"


async def test_a_declared_size_is_refused_before_it_is_sent() -> None:
    async with _client(max_body=1000) as client:
        answer = await client.post("/", content=b"x" * 1001)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:tidings:problem:too-large")


async def test_an_undeclared_one_is_refused_at_the_first_byte_too_many() -> None:
    async with _client(max_body=1000) as client:
        answer = await client.post("/", content=_stream(11))
    assert answer.status_code == 413


@pytest.mark.parametrize("path", ["/u/token", "/sign-in", "/sign-out", "/campaigns/7/pause"])
async def test_the_forms_of_pages_are_short(path: str) -> None:
    async with _client() as client:
        assert (await client.post(path, content=b"x" * MAX_FORM)).status_code == 200
        assert (await client.post(path, content=b"x" * (MAX_FORM + 1))).status_code == 413


async def test_a_compressed_body_is_refused() -> None:
    async with _client() as client:
        answer = await client.post("/", content=b"x", headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415


async def test_a_body_that_never_ends_times_out() -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    sent = await _call(BodyLimit(_echo_size, seconds=0.01), receive)
    assert sent[0]["status"] == 408


async def test_a_client_that_goes_away_reaches_nobody() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    assert await _call(BodyLimit(_echo_size), receive) == []


async def _call(app: BodyLimit, receive: Callable[[], Any]) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "http", "method": "POST", "path": "/", "headers": []}, receive, send)
    return sent


def test_an_event_of_the_largest_size_fits() -> None:
    assert MAX_BODY >= 256 * 1024
