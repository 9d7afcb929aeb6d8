"""What Twilio is told about one message."""

import base64
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl

import pytest

from notifications.providers.base import SmsContent
from notifications.providers.sms.twilio import TwilioProvider
from notifications.settings import SettingsError
from tests.contracts.support.vendors import KEY, ORIGIN, outgoing, running, twilio_settings


async def form_of(send, settings=None, **changes) -> dict[str, str]:
    async with running("twilio") as bench:
        provider = TwilioProvider(twilio_settings(bench.server.url, **(settings or {})))
        await send(provider, outgoing(bench, **changes))
        await provider.close()
        (request,) = bench.server.received
    return dict(parse_qsl(request.body.decode()))


async def test_a_message_has_recipient_sender_text_and_callback(send):
    form = await form_of(send)
    callback = form.pop("StatusCallback")
    assert form == {"To": "+4915112345678", "From": "+15005550006", "Body": "canary-body-7731", "ValidityPeriod": "300"}
    assert callback.startswith("https://tidings.example/webhooks/twilio?")
    assert parse_qs(callback.partition("?")[2]) == {"correlation": [f"{ORIGIN}.1.2"], "key": [str(KEY)]}


async def test_a_callback_with_a_query_keeps_it(send):
    form = await form_of(send, {"status_callback_url": "https://tidings.example/hook?tenant=a"})
    assert form["StatusCallback"].startswith("https://tidings.example/hook?tenant=a&correlation=")


async def test_without_a_callback_there_is_no_slot(send):
    assert "StatusCallback" not in await form_of(send, {"status_callback_url": None})


@pytest.mark.parametrize(
    ("settings", "sender", "expected"),
    [
        ({}, "ACME", {"From": "ACME"}),
        ({}, "MG" + "a" * 32, {"MessagingServiceSid": "MG" + "a" * 32}),
        ({"messaging_service_sid": "MG" + "b" * 32}, None, {"MessagingServiceSid": "MG" + "b" * 32}),
        ({"messaging_service_sid": "MG" + "b" * 32}, "ACME", {"From": "ACME"}),
    ],
)
async def test_the_categorys_sender_goes_before_the_default(settings, sender, expected, send):
    form = await form_of(send, settings, content=SmsContent("x", 1, "GSM-7", sender))
    assert {key: form[key] for key in ("From", "MessagingServiceSid") if key in form} == expected


@pytest.mark.parametrize(
    ("ttl", "expected"),
    [(None, None), (timedelta(0), "1"), (timedelta(minutes=10), "600"), (timedelta(days=2), "36000")],
)
async def test_the_time_left_bounds_how_long_twilio_tries(ttl, expected, send):
    assert (await form_of(send, ttl=ttl)).get("ValidityPeriod") == expected


async def test_any_text_arrives_as_written(send):
    text = "Grüße & 100 % = 1+1 \n🎉"
    assert (await form_of(send, content=SmsContent(text, 1, "UCS-2")))["Body"] == text


async def test_the_account_signs_in_by_basic_authentication(send):
    async with running("twilio") as bench:
        await send(bench.provider, outgoing(bench))
        (request,) = bench.server.received
    assert (
        base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"AC" + b"1" * 32 + b":auth-canary"
    )
    assert request.target == f"/2010-04-01/Accounts/AC{'1' * 32}/Messages.json"


@pytest.mark.parametrize(
    ("changes", "variable"),
    [
        ({"account_sid": ""}, "TIDINGS_TWILIO__ACCOUNT_SID"),
        ({"auth_token": None}, "TIDINGS_TWILIO__AUTH_TOKEN_FILE"),
        ({"from_number": None}, "TIDINGS_TWILIO__FROM_NUMBER or TIDINGS_TWILIO__MESSAGING_SERVICE_SID"),
    ],
)
def test_a_missing_setting_is_named(changes, variable):
    with pytest.raises(SettingsError, match=variable):
        TwilioProvider(twilio_settings("http://127.0.0.1", **changes))
