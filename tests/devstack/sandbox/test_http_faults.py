"""Each knob, seen by a client over TCP. WhatsApp stands for all HTTP vendors: they pass the same gate."""

import asyncio
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from devstack.sandbox.meta import ACCESS_TOKEN, PHONE_NUMBER_ID
from devstack.sandbox.server import Sandbox
from devstack.sandbox.twilio import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER

URL = f"/meta/v23.0/{PHONE_NUMBER_ID}/messages"
HEADERS = {"Authorization": f"Bearer {ACCESS_TOKEN}"}
TO = "+4915112345678"


async def _send(client: httpx.AsyncClient, to: str = TO, **options: Any) -> httpx.Response:
    document = {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": "Hello"}}
    return await client.post(URL, headers=HEADERS, json=document, **options)


async def _sms(client: httpx.AsyncClient) -> httpx.Response:
    url = f"/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    form = {"To": TO, "From": FROM_NUMBER, "Body": "Hello"}
    return await client.post(url, data=form, auth=(ACCOUNT_SID, AUTH_TOKEN))


async def _knob(client: httpx.AsyncClient, path: str = "meta", **fault: object) -> None:
    assert (await client.put(f"/api/faults/{path}", json=fault)).status_code == 200


async def _count(client: httpx.AsyncClient) -> int:
    return (await client.get("/api/inbox/count")).json()["count"]


async def test_latency_comes_after_accepting(client) -> None:
    await _knob(client, latency_ms=300)
    with pytest.raises(httpx.ReadTimeout):
        await _send(client, timeout=0.1)
    assert await _count(client) == 1
    begun = time.monotonic()
    assert (await _send(client)).status_code == 200
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({}, 503, 131016),
        ({"status": 500}, 500, 131000),
        ({"status": 429}, 429, 130429),
        ({"code": 131056}, 429, 131056),
        ({"code": 131031, "status": 400}, 400, 131031),
        ({"code": "999999"}, 400, 999999),
    ],
)
async def test_an_error_has_the_vendors_body(client, error, status, code) -> None:
    await _knob(client, error=error)
    answer = await _send(client)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert await _count(client) == 0


async def test_each_vendor_has_its_own_words_for_down(client, fcm_headers) -> None:
    for name in ("fcm", "twilio", "meta"):
        await client.put(f"/api/providers/{name}", json={"enabled": False})
    push = await client.post("/fcm/v1/projects/tidings-sandbox/messages:send", headers=fcm_headers, json={})
    assert (push.status_code, push.json()["error"]["status"]) == (503, "UNAVAILABLE")
    sms = await _sms(client)
    assert (sms.status_code, sms.json()["code"]) == (503, 20503)
    whatsapp = await _send(client)
    assert (whatsapp.status_code, whatsapp.json()["error"]["code"]) == (503, 131016)
    await client.put("/api/providers/meta", json={"enabled": True})
    assert (await _send(client)).status_code == 200


async def test_an_error_at_a_rate_is_the_same_for_the_same_seed(client) -> None:
    async def pattern() -> list[int]:
        await _knob(client, error={"rate": 0.5}, seed=3)
        return [(await _send(client)).status_code for _ in range(40)]

    first = await pattern()
    assert 8 <= first.count(503) <= 32
    assert await pattern() == first


async def test_a_rate_of_any_knob(client) -> None:
    await _knob(client, throttle={}, rate=0.5, seed=3)
    statuses = [(await _send(client)).status_code for _ in range(40)]
    assert set(statuses) == {200, 429}


async def test_one_recipient_fails_twice_and_then_works(client) -> None:
    await _knob(client, f"meta/{TO}", fail_times=2)
    assert (await _send(client, "+4915199999999")).status_code == 200
    statuses = [(await _send(client, "4915112345678")).status_code for _ in range(4)]
    assert statuses == [503, 503, 200, 200]
    (listed,) = (await client.get("/api/faults")).json()["items"]
    assert (listed["recipient"], listed["struck"], listed["seen"]) == (TO, 2, 4)


async def test_fail_times_bounds_any_other_knob(client) -> None:
    await _knob(client, fail_times=1, throttle={"retry_after": 1})
    assert [(await _send(client)).status_code for _ in range(2)] == [429, 200]


async def test_a_recipients_fault_replaces_its_providers(client) -> None:
    await _knob(client, error={})
    await _knob(client, f"meta/{TO}")
    assert (await _send(client)).status_code == 200
    assert (await _send(client, "+4915199999999")).status_code == 503


async def test_throttled_with_seconds_or_a_date(client) -> None:
    await _knob(client, throttle={"retry_after": 7})
    answer = await _send(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.json()["error"]["code"] == 130429
    await _knob(client, throttle={"retry_after": 60, "format": "http-date"})
    until = parsedate_to_datetime((await _send(client)).headers["Retry-After"])
    assert 50 <= (until - datetime.now(UTC)).total_seconds() <= 61
    await _knob(client, throttle={})
    assert "Retry-After" not in (await _send(client)).headers


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
async def test_a_hang_never_answers(client, moment, kept) -> None:
    await _knob(client, hang=moment)
    with pytest.raises(httpx.ReadTimeout):
        await _send(client, timeout=0.3)
    assert await _count(client) == kept


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
async def test_a_reset_is_a_real_one(sandbox: Sandbox, client, moment, kept) -> None:
    await _knob(client, reset=moment)
    body = b'{"messaging_product": "whatsapp", "to": "4915112345678", "text": {"body": "Hello"}}'
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.http_port)
    head = f"POST {URL} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {ACCESS_TOKEN}\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 10)
    assert await _count(client) == kept
    writer.close()


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
async def test_rubbish_is_no_json(client, moment, kept) -> None:
    await _knob(client, rubbish=moment)
    answer = await _send(client)
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()
    assert await _count(client) == kept


async def test_a_trickling_answer_arrives_in_the_end(client) -> None:
    await _knob(client, trickle_ms=2)
    begun = time.monotonic()
    answer = await _send(client)
    assert answer.json()["messages"]
    assert time.monotonic() - begun >= 0.002 * len(answer.content)


async def test_the_sandbox_stops_at_once_though_a_client_hangs(sandbox: Sandbox, client) -> None:
    await _knob(client, hang="before")
    hanging = asyncio.create_task(_send(client, timeout=60))
    async with asyncio.timeout(10):
        while not (await client.get("/api/faults")).json()["items"][0]["seen"]:
            await asyncio.sleep(0)
        await sandbox.stop()
        with pytest.raises(httpx.HTTPError):
            await hanging


async def test_faults_are_removed_one_by_one_and_all_together(client) -> None:
    await _knob(client, "meta", error={})
    await _knob(client, f"meta/{TO}", error={})
    await _knob(client, "smtp", error={})
    assert (await client.delete(f"/api/faults/meta/{TO}")).status_code == 204
    assert [item["provider"] for item in (await client.get("/api/faults")).json()["items"]] == ["meta", "smtp"]
    assert (await client.delete("/api/faults/meta")).status_code == 204
    assert (await _send(client)).status_code == 200
    assert (await client.delete("/api/faults")).status_code == 204
    assert (await client.get("/api/faults")).json() == {"items": []}


@pytest.mark.parametrize(
    ("path", "document", "status", "words"),
    [
        ("faults/pigeon", {}, 404, "Use one of: smtp, sendgrid, fcm"),
        ("faults/meta", {"bogus": 1}, 422, "bogus"),
        ("faults/meta", {"error": {"rate": 2}}, 422, "error.rate"),
        ("faults/meta", {"error": {"code": "UNAVAILABLE"}}, 422, "codes are numbers"),
        ("faults/fcm", {"error": {"at": "data"}}, 422, "only smtp"),
        ("faults/smtp", {"error": {"message": "a\r\n250 OK"}}, 422, "error.message"),
        ("faults/meta", {"hang": "later"}, 422, "hang"),
        ("providers/pigeon", {"enabled": True}, 404, "Use one of"),
        ("providers/meta", {"enabled": "maybe"}, 422, "enabled"),
        ("providers/meta", [], 422, "body"),
    ],
)
async def test_a_wrong_document_is_refused_with_what_to_mend(client, path, document, status, words) -> None:
    answer = await client.put(f"/api/{path}", json=document)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert words in answer.json()["detail"]
