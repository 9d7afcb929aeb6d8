"""Connections are used again where that is safe, and never shared."""

import asyncio
import time

import pytest

from notifications.providers.http import HttpClient
from notifications.providers.http_connections import KEEP_ALIVE_SECONDS, Connections, Origin
from tests.contracts.support.http_server import Misbehaviour, Reply, ScriptedHttp

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
async def server():
    made = ScriptedHttp(scripted_suffix="", accepted=Reply(200, {"ok": True}))
    async with made.serving():
        yield made


@pytest.fixture
async def connections():
    made = Connections()
    yield made
    await made.close()


def origin(server):
    return Origin("127.0.0.1", server.port, is_tls=False)


async def asked(connections, server):
    connection = await connections.take(origin(server))
    try:
        return await connection.exchange(REQUEST)
    finally:
        connections.give_back(origin(server), connection)


async def test_a_connection_is_used_again(server, connections):
    for _ in range(3):
        assert (await asked(connections, server)).status == 200
    assert server.connections == 1


async def test_requests_at_once_have_a_connection_each(server, connections):
    await asyncio.gather(*(asked(connections, server) for _ in range(3)))
    assert server.connections == 3


async def test_one_that_has_been_idle_for_long_is_not_used(server, connections):
    first = await connections.take(origin(server))
    connections.give_back(origin(server), first)
    first.idle_since = time.monotonic() - KEEP_ALIVE_SECONDS - 1
    second = await connections.take(origin(server))
    assert second is not first
    assert not first.is_open


@pytest.mark.parametrize(
    "headers", [{"Connection": "close"}, {"Content-Length": "1"}], ids=["said so", "more than an answer"]
)
async def test_after_its_last_answer_another_one_is_opened(server, connections, headers):
    server.script.append(Reply(200, headers=headers, body=b"ab"))
    await asked(connections, server)
    await asked(connections, server)
    assert server.connections == 2


async def test_one_that_the_vendor_closed_meanwhile_is_not_used(server, connections):
    first = await connections.take(origin(server))
    server.script.append(Misbehaviour.CLOSE)
    with pytest.raises(ConnectionResetError):
        await first.exchange(REQUEST)
    connections.give_back(origin(server), first)
    assert (await asked(connections, server)).status == 200


async def test_a_call_that_is_given_up_ends_its_connection(server):
    client = HttpClient("vendor", timeout_seconds=30)
    server.script.append(Misbehaviour.HANG)
    call = asyncio.create_task(client.request("POST", server.url, deadline=time.monotonic() + 30, headers={}))
    while not server.received:
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    answer = await client.request("POST", server.url, deadline=time.monotonic() + 5, headers={})
    assert answer.status == 200
    assert server.connections == 2
    await client.close()


async def test_closing_ends_them_all(server, connections):
    idle, busy = [await connections.take(origin(server)) for _ in range(2)]
    connections.give_back(origin(server), idle)
    await connections.close()
    assert not idle.is_open
    assert not busy.is_open
