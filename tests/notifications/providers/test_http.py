"""The seam: what it adds to its client."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from notifications.providers import http
from notifications.providers.base import ErrorScope, PermanentDeliveryError, TransientDeliveryError, UnknownOutcome
from notifications.providers.http import MAX_ANSWER_BYTES, HttpClient, encode_json
from tests.contracts.support.http_server import Misbehaviour, Reply, ScriptedHttp
from tests.contracts.support.smtp_server import ScriptedSmtp


@pytest.fixture
async def server():
    made = ScriptedHttp(scripted_suffix="", accepted=Reply(200, {"ok": True}))
    async with made.serving():
        yield made


@pytest.fixture
async def client():
    made = HttpClient("vendor", timeout_seconds=30)
    yield made
    await made.close()


def post(client, url, seconds=5.0):
    return client.request("POST", url, deadline=time.monotonic() + seconds, headers={"X-A": "b"}, body=b"text")


async def test_a_request_says_who_asks_and_wants_no_compression(server, client):
    answer = await post(client, f"{server.url}/a?b=c%20d")
    (request,) = server.received
    assert (answer.status, answer.document()) == (200, {"ok": True})
    assert (request.method, request.target, request.body) == ("POST", "/a?b=c%20d", b"text")
    assert request.headers["user-agent"] == "tidings/0.1.0"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["x-a"] == "b"


async def test_an_answer_may_be_just_as_large_as_allowed(server, client):
    server.script.append(Reply(200, body=b"x" * MAX_ANSWER_BYTES))
    assert len((await post(client, server.url)).body) == MAX_ANSWER_BYTES
    server.script.append(Reply(200, body=b"x" * (MAX_ANSWER_BYTES + 1)))
    with pytest.raises(UnknownOutcome, match="vendor_bad_answer"):
        await post(client, server.url)


async def test_a_redirect_is_an_answer_and_is_not_followed(server, client):
    server.script.append(Reply(307, headers={"Location": f"{server.url}/elsewhere"}))
    assert (await post(client, server.url)).status == 307
    assert len(server.received) == 1


async def test_cookies_are_not_kept(server, client):
    server.script.append(Reply(200, headers={"Set-Cookie": "a=b"}))
    await post(client, server.url)
    await post(client, server.url)
    assert "cookie" not in server.received[1].headers


async def test_a_lost_request_is_never_repeated(server, client):
    await post(client, server.url)
    server.script.append(Misbehaviour.CLOSE)
    with pytest.raises(UnknownOutcome, match="vendor_reset"):
        await post(client, server.url)
    assert len(server.received) == 2


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/", "vendor_connect"),
        ("http://no-such-host.invalid/", "vendor_dns"),
        ("https://127.0.0.1:{port}/", "vendor_tls"),
    ],
)
async def test_what_fails_before_the_first_byte_is_transient(client, url, code):
    no_tls = ScriptedSmtp()
    async with no_tls.serving():
        with pytest.raises(TransientDeliveryError) as caught:
            await post(client, url.format(port=no_tls.port))
    assert caught.value.code == code
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "ftp://127.0.0.1/",
        "no url",
        "http://a:b/",
        "http://me:pw@127.0.0.1/",
        "http://a/\u00fc",
        "http://a/b c",
    ],
)
async def test_a_wrong_base_url_is_a_matter_of_configuration(client, url):
    with pytest.raises(PermanentDeliveryError, match="vendor_bad_url") as caught:
        await post(client, url)
    assert caught.value.scope is ErrorScope.CONFIG


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb", "a\0b"])
async def test_a_header_cannot_hold_another_one(server, client, value):
    with pytest.raises(PermanentDeliveryError, match="vendor_bad_header") as caught:
        await client.request("POST", server.url, deadline=time.monotonic() + 5, headers={"X": value})
    assert caught.value.scope is ErrorScope.CONFIG
    assert not server.received


async def test_a_request_without_a_body_says_so_where_one_is_usual(server, client):
    for method in ("GET", "POST"):
        await client.request(method, server.url, deadline=time.monotonic() + 5, headers={})
    assert [request.headers.get("content-length") for request in server.received] == [None, "0"]


async def test_the_shorter_of_deadline_and_time_limit_holds(server):
    client = HttpClient("vendor", timeout_seconds=0.2)
    server.script.append(Misbehaviour.HANG)
    async with asyncio.timeout(3):
        with pytest.raises(UnknownOutcome, match="vendor_timeout"):
            await post(client, server.url, seconds=60)
    await client.close()


def test_json_is_written_in_utf_8_whatever_the_text():
    assert encode_json({"a": "ü\ud800"}) == '{"a":"ü?"}'.encode()


def test_no_provider_goes_past_the_seam():
    """httpx costs 17 times the CPU (docs/adr/0001-send-path-http-client.md), and only the seam classifies failures."""
    package = Path(http.__file__).parent
    clients = re.compile(
        r"^\s*(?:import|from) (?:aiohttp|httpx|urllib\.request|requests|http\.client)\b|import Connections\b",
        re.MULTILINE,
    )
    users = {file.name for file in package.rglob("*.py") if clients.search(file.read_text(encoding="utf-8"))}
    assert not users.difference({"http.py"})
