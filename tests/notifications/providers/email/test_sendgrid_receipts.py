"""SendGrid's event webhook, by its published vector (sendgrid-python, test/unit/test_eventwebhook.py)."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from notifications.providers.email.sendgrid import SendGridProvider
from notifications.providers.email.sendgrid_receipts import SIGNATURE_HEADER, TIMESTAMP_HEADER, verify
from notifications.providers.receipts import (
    Correlation,
    ForgedError,
    NotConfiguredError,
    ReceiptEvent,
    StaleError,
    SuppressReason,
    UnreadableError,
    UnsignedError,
    WebhookRequest,
)
from notifications.settings import SendGridSettings
from notifications.statuses import MessageStatus

KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eN"
    "Ec6wEA3F+g=="
)
SIGNATURE = "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM="
TIMESTAMP = "1600112502"
EVENT = {
    "email": "hello@world.com",
    "event": "dropped",
    "reason": "Bounced Address",
    "sg_event_id": "ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA",
    "sg_message_id": "LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0",
    "smtp-id": "<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>",
    "timestamp": 1600112492,
}
BODY = json.dumps([EVENT], sort_keys=True, separators=(",", ":")).encode() + b"\r\n"
THEN = datetime.fromtimestamp(int(TIMESTAMP), UTC)
VECTOR = WebhookRequest(
    url="https://x.example/",
    headers={SIGNATURE_HEADER: SIGNATURE, TIMESTAMP_HEADER: TIMESTAMP},
    body=BODY,
    received_at=THEN,
)
OUR_KEY = ec.generate_private_key(ec.SECP256R1())
OUR_PUBLIC_KEY = base64.b64encode(
    OUR_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
ORIGIN = uuid4()


def signed(body: bytes, timestamp: str = TIMESTAMP) -> WebhookRequest:
    signature = OUR_KEY.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    headers = {SIGNATURE_HEADER: base64.b64encode(signature).decode(), TIMESTAMP_HEADER: timestamp}
    return replace(VECTOR, headers=headers, body=body)


def provider_with(key: str | None) -> SendGridProvider:
    return SendGridProvider(
        SendGridSettings(api_key=SecretStr("k"), from_address="a@example.org", webhook_public_key=key)
    )


def read(*events: Any) -> list[ReceiptEvent]:
    return provider_with(OUR_PUBLIC_KEY).parse_receipts(signed(json.dumps(list(events)).encode()))


def event(word: str, **changes: Any) -> dict[str, Any]:
    given = {"event": word, "sg_event_id": "e-1", "sg_message_id": "abc.filter-1", "timestamp": 1600112492}
    return given | {"email": "hello@world.com", "tidings_correlation": f"{ORIGIN}.1.2"} | changes


def test_the_published_vector():
    assert hashlib.sha256(BODY).hexdigest() == "ef3e4606385ea6adbc55fceb6117cf2784040cf145a010e5ef4afc2bc7c70452"
    verify(KEY, VECTOR)


def test_every_flipped_bit_is_noticed():
    for position in range(0, len(BODY) * 8, 5):
        flipped = bytearray(BODY)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(ForgedError):
            verify(KEY, replace(VECTOR, body=bytes(flipped)))
    for headers in ({TIMESTAMP_HEADER: "1600112503"}, {SIGNATURE_HEADER: "rubbish"}, {SIGNATURE_HEADER: "é"}):
        with pytest.raises(ForgedError):
            verify(KEY, replace(VECTOR, headers={**VECTOR.headers, **headers}))
    with pytest.raises(UnsignedError):
        verify(KEY, replace(VECTOR, headers={}))


@pytest.mark.parametrize("minutes", [-11, 11])
def test_what_was_not_signed_now_is_stale(minutes):
    with pytest.raises(StaleError):
        verify(KEY, replace(VECTOR, received_at=THEN + timedelta(minutes=minutes)))
    verify(KEY, replace(VECTOR, received_at=THEN + timedelta(minutes=minutes * 9 / 11)))


@pytest.mark.parametrize(
    ("given", "status", "reason", "suppress"),
    [
        (event("delivered"), MessageStatus.DELIVERED, None, None),
        (event("open"), MessageStatus.OPENED, None, None),
        (event("open", sg_machine_open=True), MessageStatus.DELIVERED, None, None),
        (event("click"), MessageStatus.CLICKED, None, None),
        (
            event("bounce", type="bounce", status="5.1.1"),
            MessageStatus.BOUNCED,
            "sendgrid_5.1.1",
            SuppressReason.HARD_BOUNCE,
        ),
        (event("bounce", type="blocked"), MessageStatus.BOUNCED, "sendgrid_blocked", None),
        (event("dropped"), MessageStatus.FAILED, "sendgrid_dropped", None),
        (event("spamreport"), MessageStatus.DELIVERED, None, SuppressReason.COMPLAINT),
        (event("unsubscribe"), MessageStatus.DELIVERED, None, SuppressReason.OPTED_OUT),
    ],
)
async def test_an_event_is_a_receipt_of_its_attempt(given, status, reason, suppress):
    (receipt,) = read(given)
    assert (receipt.status, receipt.reason, receipt.suppress) == (status, reason, suppress)
    assert (receipt.correlation, receipt.provider_message_id) == (Correlation(ORIGIN, 1, 2), "abc")
    assert "hello" not in repr(receipt)


async def test_what_is_no_status_is_left_out():
    assert read(None, {}, event("processed"), event("deferred"), event("open", sg_event_id=None)) == []


async def test_signed_rubbish_is_unreadable_and_without_a_key_nothing_is_believed():
    provider = provider_with(OUR_PUBLIC_KEY)
    with pytest.raises(UnreadableError):
        provider.parse_receipts(signed(b"{}"))
    for key in (None, "", "rubbish", base64.b64encode(b"rubbish").decode()):
        with pytest.raises(NotConfiguredError, match="TIDINGS_SENDGRID__WEBHOOK_PUBLIC_KEY"):
            provider_with(key).parse_receipts(VECTOR)
