"""Meta's signature, by the published vector of the same scheme, and its statuses."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from notifications.providers.receipts import (
    Correlation,
    ForgedError,
    NotConfiguredError,
    SuppressReason,
    UnreadableError,
    UnsignedError,
    WebhookRequest,
    read_correlation,
)
from notifications.providers.whatsapp.meta import MetaProvider
from notifications.providers.whatsapp.meta_receipts import sign, verify
from notifications.settings import MetaSettings
from notifications.statuses import MessageStatus

SECRET = "It's a Secret to Everybody"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ORIGIN = uuid4()


def request(body: bytes) -> WebhookRequest:
    return WebhookRequest(
        url="https://x.example/", headers={"x-hub-signature-256": sign(SECRET, body)}, body=body, received_at=NOW
    )


def statuses(*given: Any) -> WebhookRequest:
    value = {"messaging_product": "whatsapp", "statuses": list(given)}
    document = {"object": "whatsapp_business_account", "entry": [{"changes": [{"value": value}]}]}
    return request(json.dumps(document).encode())


def status(word: str, **changes: Any) -> dict[str, Any]:
    slot = f"{ORIGIN}.1.2 {uuid4()}"
    return {"id": "wamid.A", "status": word, "timestamp": "1790000000", "biz_opaque_callback_data": slot} | changes


@pytest.fixture
async def provider():
    settings = MetaSettings(
        phone_number_id="1",
        access_token=SecretStr("t"),
        app_secret=SecretStr(SECRET),
        verify_token=SecretStr("our-word"),
    )
    provider = MetaProvider(settings)
    yield provider
    await provider.close()


def test_the_published_vector():
    expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert sign(SECRET, b"Hello, World!") == expected


def test_every_flipped_bit_is_noticed():
    whole = request(b"Hello, World!")
    verify(SECRET, whole)
    for position in range(len(whole.body) * 8):
        flipped = bytearray(whole.body)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(ForgedError):
            verify(SECRET, replace(whole, body=bytes(flipped)))
    with pytest.raises(ForgedError):
        verify("another secret", whole)
    with pytest.raises(UnsignedError):
        verify(SECRET, replace(whole, headers={}))


@pytest.mark.parametrize(
    ("word", "code", "expected", "reason", "suppress"),
    [
        ("sent", None, MessageStatus.SENT, None, None),
        ("delivered", None, MessageStatus.DELIVERED, None, None),
        ("read", None, MessageStatus.OPENED, None, None),
        ("failed", 131026, MessageStatus.BOUNCED, "meta_131026", None),
        ("failed", 131000, MessageStatus.FAILED, "meta_131000", None),
        ("failed", 131050, MessageStatus.BOUNCED, "meta_131050", SuppressReason.OPTED_OUT),
        ("failed", None, MessageStatus.FAILED, "meta_failed", None),
    ],
)
def test_a_status_is_a_receipt_of_its_attempt(provider, word, code, expected, reason, suppress):
    errors = {"errors": [{"code": code}]} if code else {}
    (receipt,) = provider.parse_receipts(statuses(status(word, **errors)))
    assert (receipt.status, receipt.reason, receipt.suppress) == (expected, reason, suppress)
    assert receipt.correlation == Correlation(ORIGIN, 1, 2)
    assert receipt.provider_message_id == "wamid.A"


def test_a_batch_is_read_whole_and_what_is_no_status_left_out(provider):
    odd = [None, 1, {}, status("deleted"), status("sent", id=7), status("sent", id="a\0b"), {"status": []}]
    found = provider.parse_receipts(statuses(status("sent"), *odd, status("delivered", timestamp="soon")))
    assert [(each.status, each.occurred_at == NOW) for each in found] == [
        (MessageStatus.SENT, False),
        (MessageStatus.DELIVERED, True),
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b"[" * 100_000])
def test_signed_rubbish_is_unreadable(provider, body):
    with pytest.raises(UnreadableError):
        provider.parse_receipts(request(body))


@pytest.mark.parametrize("body", [b"{}", b'{"entry": 1}', b'{"entry": [{"changes": [{"value": 3}]}]}'])
def test_signed_json_about_something_else_is_nothing(provider, body):
    assert provider.parse_receipts(request(body)) == []


def test_the_challenge(provider):
    asked = {"hub.mode": "subscribe", "hub.verify_token": "our-word", "hub.challenge": "1158201444"}
    assert provider.answer_challenge(asked) == "1158201444"
    for wrong in ({"hub.verify_token": "guess"}, {"hub.mode": "unsubscribe"}):
        with pytest.raises(ForgedError):
            provider.answer_challenge(asked | wrong)


async def test_without_the_secret_nothing_is_believed():
    provider = MetaProvider(MetaSettings(phone_number_id="1", access_token=SecretStr("t")))
    with pytest.raises(NotConfiguredError, match="TIDINGS_META__APP_SECRET"):
        provider.parse_receipts(statuses(status("sent")))
    with pytest.raises(NotConfiguredError, match="TIDINGS_META__VERIFY_TOKEN"):
        provider.answer_challenge({"hub.verify_token": ""})
    await provider.close()


@pytest.mark.parametrize(
    "text", [None, "", "a.b.c", f"{ORIGIN}.1", f"{ORIGIN}.-1.1", f"{ORIGIN}.1.{'9' * 19}", f"{ORIGIN}.{'9' * 19}.1"]
)
def test_what_is_no_correlation_is_none(text):
    assert read_correlation(text) is None
