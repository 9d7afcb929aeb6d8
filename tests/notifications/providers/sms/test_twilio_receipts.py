"""Twilio's signature by its own vectors (twilio-python, tests/unit/test_request_validator.py), and its callbacks."""

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from pydantic import SecretStr

from notifications.providers.receipts import (
    Correlation,
    ForgedError,
    SuppressReason,
    UnreadableError,
    UnsignedError,
    WebhookRequest,
)
from notifications.providers.sms.twilio import TwilioProvider
from notifications.providers.sms.twilio_receipts import sign, verify
from notifications.settings import TwilioSettings
from notifications.statuses import Channel, MessageStatus

TOKEN = "12345"
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FIELDS = [
    ("CallSid", "CA1234567890ABCDE"),
    ("Digits", "1234"),
    ("From", "+14158675309"),
    ("To", "+18005551212"),
    ("Caller", "+14158675309"),
]
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
BODY_HASH = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def request(url: str = URL, fields: list[tuple[str, str]] = FIELDS, signature: str = SIGNATURE) -> WebhookRequest:
    body = urlencode(fields).encode()
    return WebhookRequest(url=url, headers={"x-twilio-signature": signature}, body=body, received_at=NOW)


@pytest.mark.parametrize(
    ("url", "fields", "expected"),
    [
        (URL, FIELDS, SIGNATURE),
        (URL.replace(".com", ".com:443"), FIELDS, "kvajT1Ptam85bY51eRf/AJRuM3w="),
        (URL.replace("https", "http").replace(".com", ".com:80"), FIELDS, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        (URL.replace("https", "http").replace(".com", ".com:1234"), FIELDS, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
        (f"{URL}&bodySHA256={BODY_HASH}", [], "a9nBmqA0ju/hNViExpshrM61xv4="),
    ],
)
def test_the_published_vectors(url, fields, expected):
    assert sign(TOKEN, url, fields) == expected
    if fields:
        assert verify(TOKEN, request(url, fields, expected), [url]) == fields


def test_fields_that_come_several_times_are_signed_once_each():
    fields = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")]
    assert sign(TOKEN, URL, fields) == "IK+Dwps556ElfBT0I3Rgjkr1wJU="


@pytest.mark.parametrize("signed", [URL.replace(".com", ".com:443"), URL])
@pytest.mark.parametrize("called", [URL.replace(".com", ".com:443"), URL])
def test_a_default_port_may_be_named_or_not(signed, called):
    assert verify(TOKEN, request(called, FIELDS, sign(TOKEN, signed, FIELDS)), [called])


def test_a_json_body_is_signed_by_its_hash():
    body = b'{"property": "value", "boolean": true}'
    url = f"{URL}&bodySHA256={BODY_HASH}"
    given = WebhookRequest(
        url=url, headers={"x-twilio-signature": "a9nBmqA0ju/hNViExpshrM61xv4="}, body=body, received_at=NOW
    )
    verify(TOKEN, given, [url])
    with pytest.raises(ForgedError):
        verify(TOKEN, replace(given, body=body + b" "), [url])


def test_every_flipped_bit_is_noticed():
    body = urlencode(FIELDS).encode()
    for position in range(len(body) * 8):
        flipped = bytearray(body)
        flipped[position // 8] ^= 1 << position % 8
        if bytes(flipped).lower() != body.lower():  # %2b is %2B
            with pytest.raises(ForgedError):
                verify(TOKEN, replace(request(), body=bytes(flipped)), [URL])
    for position in range(len(SIGNATURE) * 7):
        index, bit = divmod(position, 7)
        signature = SIGNATURE[:index] + chr(ord(SIGNATURE[index]) ^ 1 << bit) + SIGNATURE[index + 1 :]
        with pytest.raises(ForgedError):
            verify(TOKEN, request(signature=signature), [URL])


def test_an_unsigned_one_and_one_with_too_many_fields():
    with pytest.raises(UnsignedError):
        verify(TOKEN, replace(request(), headers={}), [URL])
    with pytest.raises(UnreadableError):
        verify(TOKEN, request(fields=[("a", "b")] * 201), [URL])


# What the provider makes of it

ORIGIN = uuid4()
CALLBACK = f"https://tidings.example/webhooks/twilio?correlation={ORIGIN}.1.2&key={uuid4()}"


@pytest.fixture
async def provider():
    settings = TwilioSettings(account_sid="AC1", auth_token=SecretStr(TOKEN), from_number="+15005550006")
    provider = TwilioProvider(settings)
    yield provider
    await provider.close()


def callback(status: str, *, url: str = CALLBACK, **fields: str) -> WebhookRequest:
    given = [("MessageSid", "SM" + "0a" * 16), ("MessageStatus", status), ("To", "+4915112345678"), *fields.items()]
    return request(url, given, sign(TOKEN, url, given))


@pytest.mark.parametrize(
    ("word", "status", "reason"),
    [
        ("sent", MessageStatus.SENT, None),
        ("delivered", MessageStatus.DELIVERED, None),
        ("read", MessageStatus.OPENED, None),
        ("undelivered", MessageStatus.BOUNCED, "twilio_undelivered"),
        ("failed", MessageStatus.FAILED, "twilio_failed"),
    ],
)
async def test_a_callback_is_a_receipt_of_its_attempt(provider, word, status, reason):
    (receipt,) = provider.parse_receipts(callback(word))
    assert (receipt.status, receipt.reason) == (status, reason)
    assert receipt.correlation == Correlation(ORIGIN, 1, 2)
    assert receipt.provider_message_id == "SM" + "0a" * 16
    assert "+49" not in repr(receipt)


@pytest.mark.parametrize("word", ["queued", "sending", "accepted", "no such word"])
async def test_what_says_nothing_new_is_left_out(provider, word):
    assert provider.parse_receipts(callback(word)) == []


@pytest.mark.parametrize(
    ("code", "suppress"),
    [
        ("30005", SuppressReason.HARD_BOUNCE),
        ("21610", SuppressReason.STOPPED),
        ("30003", None),
        ("x", None),
    ],
)
async def test_a_number_that_is_dead_or_opted_out_is_suppressed(provider, code, suppress):
    (receipt,) = provider.parse_receipts(callback("undelivered", ErrorCode=code))
    assert receipt.suppress == suppress


async def test_behind_a_proxy_the_callback_url_of_the_settings_is_what_was_signed():
    settings = TwilioSettings(
        account_sid="AC1", auth_token=SecretStr(TOKEN), from_number="+1", status_callback_url="https://hooks.example/t"
    )
    provider = TwilioProvider(settings)
    signed = callback("sent", url=f"https://hooks.example/t?correlation={ORIGIN}.1.1")
    seen = f"http://internal:8000/webhooks/twilio?correlation={ORIGIN}.1.1"
    (receipt,) = provider.parse_receipts(replace(signed, url=seen))
    assert receipt.correlation == Correlation(ORIGIN, 1, 1)
    await provider.close()


def reply(body: str = "", sender: str = "+4915112345678", **fields: str) -> WebhookRequest:
    url = "https://tidings.example/webhooks/twilio/replies"
    pairs = list({"MessageSid": "SM" + "0a" * 16, "From": sender, "Body": body, **fields}.items())
    return request(url, pairs, sign(TOKEN, url, pairs))


@pytest.mark.parametrize(
    ("given", "stops"),
    [
        (reply("STOP"), True),
        (reply(" stop. "), True),
        (reply("Unsubscribe!"), True),
        (reply("start"), False),
        (reply("YES"), False),
        (reply("Arret", OptOutType="STOP"), True),
        (reply("stop", OptOutType="START"), False),
    ],
)
async def test_stop_and_start_are_understood(provider, given, stops):
    (found,) = provider.parse_replies(given)
    assert (found.stops, found.address, found.channel) == (stops, "+4915112345678", Channel.SMS)


@pytest.mark.parametrize(
    "given",
    [
        reply("please stop"),
        reply("thank you"),
        reply("INFO", OptOutType="HELP"),
        reply("STOP", sender="whatsapp:+4915112345678"),
        reply("STOP", sender="ACME"),
        reply("STOP", MessageSid=""),
    ],
)
async def test_everything_else_that_is_written_back_is_left_out(provider, given):
    assert provider.parse_replies(given) == []


async def test_a_forged_stop_is_not_believed(provider):
    with pytest.raises(ForgedError):
        provider.parse_replies(replace(reply("STOP"), headers={"x-twilio-signature": "AAAA"}))
    with pytest.raises(UnsignedError):
        provider.parse_replies(replace(reply("STOP"), headers={}))
