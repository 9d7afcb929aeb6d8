"""Which provider is built from which settings, and who may be written to in development."""

import time
from typing import Any

import pytest
from pydantic import SecretStr

from notifications.ids import message_id
from notifications.providers.base import DeliveryError, ErrorScope, PermanentDeliveryError, SmsContent
from notifications.providers.development import GuardedProvider, SandboxFcm
from notifications.providers.email.sendgrid import SendGridProvider
from notifications.providers.email.smtp import SmtpProvider
from notifications.providers.memory import MemoryProvider
from notifications.providers.registry import PROVIDERS, build_providers
from notifications.providers.sms.twilio import TwilioProvider
from notifications.providers.whatsapp.meta import MetaProvider
from notifications.settings import (
    FcmSettings,
    MetaSettings,
    SendGridSettings,
    Settings,
    SettingsError,
    SmtpSettings,
    TwilioSettings,
)
from notifications.statuses import Channel
from tests.contracts.support.vendors import KEY, ORIGIN, TwilioBench, outgoing, service_account

SANDBOX = "http://127.0.0.1:8025"
REAL: dict[str, Any] = {
    "smtp": SmtpSettings(host="mail.example", from_address="a@mail.example"),
    "sendgrid": SendGridSettings(api_key=SecretStr("SG.1"), from_address="a@mail.example"),
    "fcm": FcmSettings(credentials=SecretStr(service_account("https://oauth2.example"))),
    "twilio": TwilioSettings(account_sid="AC1", auth_token=SecretStr("t"), from_number="+15005550006"),
    "meta": MetaSettings(phone_number_id="1", access_token=SecretStr("t")),
}
CHOICES = [(channel, name) for channel, names in PROVIDERS.items() for name in names]
ADDRESSES = {
    Channel.EMAIL: (" Dev@Acme.Example", "dev@acme.example"),
    Channel.PUSH: ("token-A", "token-A"),
    Channel.SMS: ("+49 (151) 123-45678", "+4915112345678"),
    Channel.WHATSAPP: ("+49 151 12345678", "+4915112345678"),
}


def build(channel: Channel, **given: Any) -> Any:
    (provider,) = build_providers(Settings(**given), [channel])[channel]
    return provider


@pytest.mark.parametrize(("channel", "name"), CHOICES)
def test_each_provider_is_built_under_the_name_of_the_settings(channel, name):
    provider = build(channel, **{f"{channel}_providers": (name,), name: REAL[name]})
    assert (provider.channel, provider.name) == (channel, name)


def test_several_providers_of_a_channel_are_in_the_order_of_the_settings():
    settings = Settings(email_providers=("sendgrid", "smtp"), smtp=REAL["smtp"], sendgrid=REAL["sendgrid"])
    assert [provider.name for provider in build_providers(settings, [Channel.EMAIL])[Channel.EMAIL]] == [
        "sendgrid",
        "smtp",
    ]


def test_only_the_asked_channels_are_built_so_that_a_worker_needs_only_its_own_settings():
    assert set(build_providers(Settings(twilio=REAL["twilio"]), [Channel.SMS])) == {Channel.SMS}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sms_providers": ("smtp",)}, "TIDINGS_SMS_PROVIDERS: 'smtp' is no provider for sms; there is twilio"),
        ({"sms_providers": ("twilio", "twillio")}, "'twillio' is no provider"),
        ({"sms_providers": ()}, "TIDINGS_SMS_PROVIDERS is empty: name at least one of twilio"),
        ({}, "TIDINGS_TWILIO__ACCOUNT_SID is not set"),
    ],
)
def test_a_wrong_choice_is_told_what_there_is(given, words):
    with pytest.raises(SettingsError, match=words):
        build(Channel.SMS, **given)


def test_in_development_a_provider_without_an_account_is_the_sandboxs():
    settings = Settings(dev_sandbox_url=SANDBOX, email_providers=("smtp", "sendgrid"))
    built = build_providers(settings, Channel)
    kinds = {channel: [type(provider) for provider in providers] for channel, providers in built.items()}
    assert kinds == {
        Channel.EMAIL: [SmtpProvider, SendGridProvider],
        Channel.PUSH: [SandboxFcm],
        Channel.SMS: [TwilioProvider],
        Channel.WHATSAPP: [MetaProvider],
    }


@pytest.mark.parametrize(("channel", "name"), CHOICES)
def test_in_development_a_real_provider_is_guarded(channel, name):
    given = {f"{channel}_providers": (name,), name: REAL[name]}
    provider = build(channel, dev_sandbox_url=f"{SANDBOX}/", **given)
    assert isinstance(provider, GuardedProvider)
    assert provider.name == name


@pytest.mark.parametrize(
    ("channel", "given"),
    [
        (Channel.EMAIL, {"smtp": SmtpSettings(host="127.0.0.1", port=1025)}),
        (
            Channel.EMAIL,
            {
                "email_providers": ("sendgrid",),
                "sendgrid": SendGridSettings(api_key=SecretStr("SG.1"), base_url=f"{SANDBOX}/sendgrid"),
            },
        ),
        (Channel.SMS, {"twilio": TwilioSettings(account_sid="AC1", base_url=f"{SANDBOX}/twilio")}),
        (Channel.WHATSAPP, {"meta": MetaSettings(phone_number_id="1", base_url=f"{SANDBOX}/meta/v23.0")}),
        (Channel.PUSH, {"fcm": FcmSettings(credentials=SecretStr("{}"), base_url=f"{SANDBOX}/fcm")}),
    ],
)
def test_settings_that_name_the_sandbox_are_no_real_account(channel, given):
    assert not isinstance(build(channel, dev_sandbox_url=SANDBOX, **given), GuardedProvider)


def test_in_development_a_half_configured_account_is_an_error_too():
    with pytest.raises(SettingsError, match="TIDINGS_TWILIO__AUTH_TOKEN"):
        build(Channel.SMS, dev_sandbox_url=SANDBOX, twilio=TwilioSettings(account_sid="AC1"))


@pytest.mark.parametrize("channel", Channel)
async def test_only_the_allowed_addresses_reach_the_real_provider(channel, send):
    allowed, address = ADDRESSES[channel]
    real, sandbox = MemoryProvider(channel, name="real"), MemoryProvider(channel, name="sandbox")
    guarded = GuardedProvider(real, sandbox, [allowed])
    bench = TwilioBench()
    for to in (address, f"{address}0", f"x{address}", ""):
        await send(guarded, outgoing(bench, channel=channel, address=to))
    assert [sent.message.address for sent in real.sent] == [address]
    assert [sent.message.address for sent in sandbox.sent] == [f"{address}0", f"x{address}", ""]
    await guarded.close()
    assert real.closed
    assert sandbox.closed


async def test_without_allowed_addresses_nothing_real_is_sent(send):
    real, sandbox = MemoryProvider(Channel.SMS), MemoryProvider(Channel.SMS)
    await send(GuardedProvider(real, sandbox, ()), outgoing(TwilioBench(), address=""))
    assert (real.calls, sandbox.calls) == (0, 1)


async def test_the_memory_provider_keeps_what_it_accepts_and_follows_its_script(send):
    provider = MemoryProvider(Channel.SMS)
    provider.script([PermanentDeliveryError("no", scope=ErrorScope.MESSAGE), None])
    message = outgoing(TwilioBench(), content=SmsContent("x", 1, "GSM-7"))
    with pytest.raises(DeliveryError):
        await provider.check()
    with pytest.raises(PermanentDeliveryError):
        await send(provider, message)
    deadline = time.monotonic() + 5
    await provider.send(message, idempotency_key=KEY, deadline=deadline)
    (sent,) = provider.sent
    assert (sent.message, sent.idempotency_key, sent.deadline) == (message, message_id(ORIGIN, 1), deadline)
    assert provider.calls == 2
