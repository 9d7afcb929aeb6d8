import asyncio

import pytest
from fastapi import Request
from starlette.types import Message

from api.problems import BAD_REQUEST, REQUEST_TIMEOUT, ProblemError
from api.streams import body_chunks


def request(*messages: Message) -> Request:
    """One whose further messages never come."""
    waiting = list(messages)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_comes_in_its_pieces() -> None:
    chunks = body_chunks(request(piece(b"a"), piece(b""), piece(b"b", more=False)))
    assert [chunk async for chunk in chunks] == [b"a", b"b"]


async def test_one_that_stalls_is_given_up() -> None:
    with pytest.raises(ProblemError) as caught:
        _ = [chunk async for chunk in body_chunks(request(piece(b"a")), seconds=0.01)]
    assert caught.value.problem is REQUEST_TIMEOUT


async def test_one_that_breaks_off_is_no_fault_of_ours() -> None:
    with pytest.raises(ProblemError) as caught:
        _ = [chunk async for chunk in body_chunks(request(piece(b"a"), {"type": "http.disconnect"}))]
    assert caught.value.problem is BAD_REQUEST
