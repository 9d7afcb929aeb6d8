"""Signed requests to /webhooks: what is believed, what is refused, and that what is refused changes nothing."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from httpx import AsyncClient, Response
from prometheus_client import REGISTRY
from pydantic import SecretStr
from sqlmodel import select

from api.context import ApiContext
from api.limits import MAX_WEBHOOK
from api.memory import MemoryWorkflows
from api.receipt_sweep import sweeping
from notifications.database import Sessions, execute, transaction
from notifications.providers.email import sendgrid_receipts
from notifications.providers.reporting import build_receipt_sources
from notifications.providers.sms import twilio_receipts
from notifications.providers.whatsapp import meta_receipts
from notifications.receipts import Receipts
from notifications.settings import MetaSettings, SendGridSettings, Settings, TwilioSettings
from notifications.tables import Message, ReceiptRecord
from tests.api.support import attempt_row, client_of, message_row, notification_row, save, unique
from tests.notifications.providers.email.test_sendgrid_receipts import BODY, KEY, SIGNATURE, TIMESTAMP
from tests.support.integration import until

SECRET = "canary-secret"


@pytest.fixture
def context(context: ApiContext) -> ApiContext:
    settings = Settings(
        api_token=context.settings.api_token,
        hash_key=context.settings.hash_key,
        public_url="https://tidings.example",
        twilio=TwilioSettings(account_sid="AC1", auth_token=SecretStr(SECRET), from_number="+15005550006"),
        sendgrid=SendGridSettings(api_key=SecretStr("k"), from_address="a@example.org", webhook_public_key=KEY),
        meta=MetaSettings(
            phone_number_id="1",
            access_token=SecretStr("t"),
            app_secret=SecretStr(SECRET),
            verify_token=SecretStr("our-word"),
        ),
    )
    return replace(context, settings=settings, receipt_sources=build_receipt_sources(settings))


@pytest.fixture
async def client(context: ApiContext) -> AsyncIterator[AsyncClient]:
    async with client_of(context, token=None) as client:
        yield client


async def a_message(sessions: Sessions, **changes: Any) -> UUID:
    notification = notification_row(unique("pay"))
    await save(sessions, notification)
    given = {"channel": "sms", "status": "sent", "attempt": 1, "version": 1, "address": "+4915112345678"} | changes
    message = message_row(notification, 1, **given)
    await save(
        sessions, message, attempt_row(message, 1, provider="twilio", provider_message_id=f"SM{message.origin_id}")
    )
    return message.origin_id


async def status_of(sessions: Sessions, origin: UUID) -> str:
    async with sessions() as session:
        return (await session.exec(select(Message.status).where(Message.origin_id == origin))).one()


def counted(result: str, provider: str = "twilio") -> float:
    return REGISTRY.get_sample_value("tidings_receipts_total", {"provider": provider, "result": result}) or 0.0


async def call_twilio(
    client: AsyncClient, origin: UUID, status: str = "delivered", *, signature: str | None = None, sid: str = "SM1"
) -> Response:
    path = f"/webhooks/twilio?correlation={origin}.1.1"
    fields = [("MessageSid", f"{sid}{origin}"), ("MessageStatus", status)]
    right = twilio_receipts.sign(SECRET, f"https://tidings.example{path}", fields)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    headers |= {"X-Twilio-Signature": right if signature is None else signature} if signature != "" else {}
    return await client.post(path, content=urlencode(fields), headers=headers)


async def call_meta(client: AsyncClient, origin: UUID, status: str) -> Response:
    given = {"id": f"wamid.{origin}", "status": status, "biz_opaque_callback_data": f"{origin}.1.1 key"}
    body = json.dumps({"entry": [{"changes": [{"value": {"statuses": [given]}}]}]}).encode()
    return await client.post(
        "/webhooks/meta", content=body, headers={"X-Hub-Signature-256": meta_receipts.sign(SECRET, body)}
    )


async def test_a_signed_receipt_moves_the_message(client: AsyncClient, sessions: Sessions) -> None:
    origin = await a_message(sessions)
    before = counted("applied"), counted("doubled")
    for _ in range(2):
        answer = await call_twilio(client, origin)
        assert (answer.status_code, answer.content) == (200, b"ok")
    assert await status_of(sessions, origin) == "delivered"
    assert (counted("applied"), counted("doubled")) == (before[0] + 1, before[1] + 1)
    assert (await call_meta(client, origin, "read")).status_code == 200
    assert await status_of(sessions, origin) == "opened"


@pytest.mark.parametrize(("signature", "status", "result"), [("", 401, "unsigned"), ("wrong", 403, "forged")])
async def test_what_is_not_the_vendors_changes_nothing(
    client: AsyncClient, sessions: Sessions, signature: str, status: int, result: str
) -> None:
    origin = await a_message(sessions)
    before = counted(result)
    answer = await call_twilio(client, origin, signature=signature)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert SECRET not in answer.text
    assert counted(result) == before + 1
    assert await status_of(sessions, origin) == "sent"
    async with sessions() as session:
        assert (await session.exec(select(ReceiptRecord).where(ReceiptRecord.origin_id == origin))).all() == []


async def test_an_old_one_is_stale_though_its_signature_is_right(client: AsyncClient) -> None:
    before = counted("stale", "sendgrid")
    headers = {sendgrid_receipts.SIGNATURE_HEADER: SIGNATURE, sendgrid_receipts.TIMESTAMP_HEADER: TIMESTAMP}
    answer = await client.post("/webhooks/sendgrid", content=BODY, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:tidings:problem:forged-webhook")
    assert counted("stale", "sendgrid") == before + 1


async def test_one_that_is_too_large_is_not_read(client: AsyncClient) -> None:
    before = counted("too_large"), counted("too_large", "unknown")
    for path in ("twilio", "nobody"):
        answer = await client.post(f"/webhooks/{path}", content=b"x" * (MAX_WEBHOOK + 1))
        assert answer.status_code == 413
    assert (counted("too_large"), counted("too_large", "unknown")) == (before[0] + 1, before[1] + 1)


async def test_signed_rubbish(client: AsyncClient) -> None:
    headers = {"X-Hub-Signature-256": meta_receipts.sign(SECRET, b"rubbish")}
    answer = await client.post("/webhooks/meta", content=b"rubbish", headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:tidings:problem:bad-request")


async def test_the_challenge(client: AsyncClient) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "our-word", "hub.challenge": "1158201444"}
    answer = await client.get("/webhooks/meta", params=asked)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (await client.get("/webhooks/meta", params=asked | {"hub.verify_token": "guess"})).status_code == 403
    assert (await client.get("/webhooks/twilio", params=asked)).status_code == 403


async def test_a_vendor_without_an_account_here(client: AsyncClient, context: ApiContext) -> None:
    assert (await client.post("/webhooks/smtp", content=b"")).status_code == 404
    settings = Settings(meta=MetaSettings(phone_number_id="1", access_token=SecretStr("t")))
    sources = build_receipt_sources(settings)
    assert list(sources) == ["meta"]
    async with client_of(replace(context, receipt_sources=sources)) as bare:
        answer = await bare.post("/webhooks/meta", content=b"{}")
    assert (answer.status_code, "TIDINGS_META__APP_SECRET" in answer.json()["detail"]) == (503, True)


async def test_whoever_waits_for_the_message_is_woken(
    client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
) -> None:
    origin = await a_message(sessions, status="pending", stuck_reason="answer_lost")
    assert (await call_twilio(client, origin)).status_code == 200
    assert await status_of(sessions, origin) == "delivered"
    assert (origin, "reschedule") in workflows.signals


@pytest.mark.parametrize(
    ("was", "ended", "is_woken"),
    [("sent", False, True), ("unknown", False, True), ("sending", False, False), ("sent", True, False)],
)
async def test_only_who_may_wait_for_it_is_woken(
    client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows, was: str, *, ended: bool, is_woken: bool
) -> None:
    """A fallback waits for a receipt, a send that is under way finds out by itself, and who has ended is gone."""
    origin = await a_message(sessions, status=was)
    if ended:
        async with transaction(sessions) as session:
            await execute(session, "UPDATE notifications SET finished_at = now() WHERE id = :id", {"id": origin})
    assert (await call_twilio(client, origin)).status_code == 200
    assert await status_of(sessions, origin) == "delivered"
    assert ((origin, "reschedule") in workflows.signals) is is_woken


async def reply_to_twilio(client: AsyncClient, body: str, *, secret: str = SECRET) -> Response:
    url = "https://tidings.example/webhooks/twilio/replies"
    fields = [("MessageSid", unique("SM")), ("From", "+4915112345699"), ("Body", body)]
    signature = twilio_receipts.sign(secret, url, fields)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return await client.post("/webhooks/twilio/replies", content=urlencode(fields), headers=headers)


async def test_a_stop_is_answered_without_a_word_to_its_sender(client: AsyncClient) -> None:
    for body, result in (("STOP", "opted_out"), ("START", "opted_in"), ("hello", "ignored")):
        before = counted(result)
        answer = await reply_to_twilio(client, body)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
        assert answer.text.endswith("<Response></Response>")
        assert counted(result) == before + 1
    assert (await reply_to_twilio(client, "STOP", secret="guess")).status_code == 403
    assert (await client.post("/webhooks/meta/replies", content=b"{}")).status_code == 403
    before = counted("too_large")
    assert (await client.post("/webhooks/twilio/replies", content=b"x" * (MAX_WEBHOOK + 1))).status_code == 413
    assert counted("too_large") == before + 1


async def test_in_development_the_sandbox_may_call_as_well() -> None:
    sandbox = {"dev_sandbox_url": "http://127.0.0.1:8025"}
    assert build_receipt_sources(Settings(**sandbox)) == {}, "nobody could tell who signed"
    sources = build_receipt_sources(Settings(**sandbox, dev_sandbox_secret=SecretStr(SECRET)))
    assert sorted(sources) == ["meta", "sendgrid", "twilio"]
    for source in sources.values():
        await source.close()


async def test_what_came_early_is_matched_in_the_background(
    client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
) -> None:
    origin = await a_message(sessions)
    await save(sessions, early_receipt(origin))

    async def is_delivered() -> bool:
        return await status_of(sessions, origin) == "delivered"

    async with sweeping(Receipts(sessions), workflows, every=0.01):
        await until(is_delivered)


def early_receipt(origin: UUID) -> ReceiptRecord:
    return ReceiptRecord(
        provider="twilio",
        receipt_id=f"early-{origin}",
        provider_message_id=f"SM{origin}",
        origin_id=None,
        status="delivered",
        details={},
        occurred_at=datetime.now(UTC),
    )
