"""The providers against the sandbox, which refuses what the vendors refuse: the two must agree on every slot."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import pytest

from devstack.sandbox import meta as sandbox_meta
from devstack.sandbox import sendgrid as sandbox_sendgrid
from devstack.sandbox import twilio as sandbox_twilio
from devstack.sandbox.server import Sandbox, SandboxOptions
from notifications.ids import message_id
from notifications.providers import development
from notifications.providers.base import (
    Content,
    EmailContent,
    ErrorScope,
    OutgoingMessage,
    PermanentDeliveryError,
    Provider,
    PushContent,
    Receipt,
    SmsContent,
    TransientDeliveryError,
    UnknownOutcome,
    WhatsAppContent,
)
from notifications.providers.registry import PROVIDERS, build_providers
from notifications.settings import Settings
from notifications.statuses import Channel

CHANNELS = {name: channel for channel, names in PROVIDERS.items() for name in names}
ADDRESSES = {
    "smtp": "Ana.Müller@münchen.example",
    "sendgrid": "Ana.Mueller@münchen.example",
    "fcm": "device-token-1",
    "twilio": "+4915112345678",
    "meta": "+4915112345678",
}
CONTENTS: dict[Channel, Content] = {
    Channel.EMAIL: EmailContent("Zahlung über 49,90 €", "<p>Danke</p>", "Danke", headers={"X-Campaign": "none"}),
    Channel.PUSH: PushContent("Payment", "49,90 € paid", "https://acme.example/r", {"kind": "payment"}),
    Channel.SMS: SmsContent("Your code is 123456", 1, "GSM-7"),
    Channel.WHATSAPP: WhatsAppContent({"meta": {"name": "order_shipped", "language": "en_US"}}, ("DHL\n123",)),
}


@dataclass
class Stand:
    """A provider, its sandbox, and an origin of this test's own."""

    provider: Provider
    sandbox: Sandbox
    origin: UUID = field(default_factory=uuid4)

    async def send(self, address: str | None = None, content: Content | None = None, seconds: float = 10) -> Receipt:
        message = OutgoingMessage(
            origin_id=self.origin,
            seq=1,
            attempt=1,
            channel=self.channel,
            address=address or ADDRESSES[self.provider.name],
            recipient_name="Ana Müller",
            content=content or CONTENTS[self.channel],
            ttl=timedelta(minutes=5),
        )
        return await self.provider.send(message, idempotency_key=self.key, deadline=time.monotonic() + seconds)

    @property
    def channel(self) -> Channel:
        return self.provider.channel

    @property
    def key(self) -> UUID:
        return message_id(self.origin, 1)

    async def api(self, method: str, path: str, **given: Any) -> Any:
        async with aiohttp.ClientSession(self.sandbox.http_url) as http, http.request(method, path, **given) as answer:
            assert answer.ok, await answer.text()
            return json.loads(await answer.text() or "null")

    async def fault(self, **document: Any) -> None:
        await self.api("PUT", f"/api/faults/{self.provider.name}", json=document)

    async def arrived(self) -> list[dict[str, Any]]:
        answer = await self.api("GET", "/api/inbox", params={"key": str(self.key)})
        return list(answer["items"])


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[Sandbox]:
    started = Sandbox(SandboxOptions(http_port=0, smtp_port=0))
    await started.start()
    yield started
    await started.stop()


def sandbox_provider(name: str, sandbox: Sandbox) -> Provider:
    channel = CHANNELS[name]
    where = {"dev_sandbox_url": sandbox.http_url, "dev_sandbox_smtp_port": sandbox.smtp_port}
    (provider,) = build_providers(Settings(**where, **{f"{channel}_providers": (name,)}), [channel])[channel]
    return provider


@pytest.fixture(params=CHANNELS)
async def stand(request: pytest.FixtureRequest, sandbox: Sandbox) -> AsyncIterator[Stand]:
    provider = sandbox_provider(request.param, sandbox)
    made = Stand(provider, sandbox)
    yield made
    await provider.close()
    await made.api("DELETE", "/api/faults")


def test_the_accounts_are_those_of_the_sandbox():
    assert development.SANDBOX_API_KEY == sandbox_sendgrid.API_KEY
    assert development.SANDBOX_ACCOUNT_SID == sandbox_twilio.ACCOUNT_SID
    assert development.SANDBOX_AUTH_TOKEN == sandbox_twilio.AUTH_TOKEN
    assert development.SANDBOX_FROM_NUMBER == sandbox_twilio.FROM_NUMBER
    assert development.SANDBOX_PHONE_NUMBER_ID == sandbox_meta.PHONE_NUMBER_ID
    assert development.SANDBOX_ACCESS_TOKEN == sandbox_meta.ACCESS_TOKEN


async def test_what_is_accepted_arrives_once_with_key_and_correlation(stand):
    receipt = await stand.send()
    (entry,) = await stand.arrived()
    assert entry["provider"] == stand.provider.name
    assert entry["correlation"] == f"{stand.origin}.1.1"
    if stand.provider.name == "smtp":
        assert receipt.provider_message_id == f"{stand.key}@localhost.localdomain"
    else:
        assert entry["provider_message_id"] == receipt.provider_message_id


async def test_a_repeat_arrives_under_the_same_key(stand):
    await stand.send()
    await stand.send()
    assert len(await stand.arrived()) == 2


async def test_check_is_content_with_the_account(stand):
    await stand.provider.check()


@pytest.mark.parametrize("format_", ["seconds", "http-date"])
async def test_a_throttle_says_when_to_come_back(stand, format_):
    await stand.fault(throttle={"retry_after": 40, "format": format_})
    with pytest.raises(TransientDeliveryError) as caught:
        await stand.send()
    assert await stand.arrived() == []
    if stand.provider.name != "smtp":
        assert timedelta(seconds=30) < caught.value.retry_after <= timedelta(seconds=40)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("how", ["hang", "reset", "rubbish"])
async def test_a_lost_answer_is_unknown_or_known_not_to_have_arrived(stand, how, moment):
    await stand.provider.check()  # a token that FCM has yet to fetch would use the time up before the call begins
    await stand.fault(**{how: moment})
    # What SMTP loses before the text is not accepted; HTTP cannot tell.
    known = stand.provider.name == "smtp" and moment == "before"
    with pytest.raises((UnknownOutcome, TransientDeliveryError)) as caught:
        await stand.send(seconds=1)
    if not known:
        assert isinstance(caught.value, UnknownOutcome)
    if isinstance(caught.value, TransientDeliveryError):
        assert await stand.arrived() == []
    assert len(await stand.arrived()) == (1 if moment == "after" else 0)


async def test_a_vendor_that_is_switched_off_is_tried_again(stand):
    await stand.api("PUT", f"/api/providers/{stand.provider.name}", json={"enabled": False})
    with pytest.raises((TransientDeliveryError, UnknownOutcome)):
        await stand.send()
    assert await stand.arrived() == []
    await stand.api("PUT", f"/api/providers/{stand.provider.name}", json={"enabled": True})
    await stand.send()
    assert len(await stand.arrived()) == 1


async def test_a_restarted_sandbox_is_reached_again(unused_tcp_port_factory):
    ports = {"http_port": unused_tcp_port_factory(), "smtp_port": unused_tcp_port_factory()}
    settings = Settings(
        dev_sandbox_url=f"http://127.0.0.1:{ports['http_port']}",
        dev_sandbox_smtp_port=ports["smtp_port"],
        email_providers=("smtp", "sendgrid"),
    )
    built = [provider for providers in build_providers(settings, Channel).values() for provider in providers]
    try:
        for life in range(2):
            started = Sandbox(SandboxOptions(**ports))
            await started.start()
            for provider in built:
                stand = Stand(provider, started)
                if life and provider.name == "fcm":
                    with pytest.raises(PermanentDeliveryError, match=r"fcm_token_refused|fcm_unauthenticated"):
                        await stand.send()
                await stand.send()
            await started.stop()
    finally:
        for provider in built:
            await provider.close()


RECIPIENT, MESSAGE, CONFIG = ErrorScope.RECIPIENT, ErrorScope.MESSAGE, ErrorScope.CONFIG
FROM_A_STRANGER = EmailContent("s", None, "t", "unverified@acme.example")
MISSING_TEMPLATE = WhatsAppContent({"meta": {"name": "missing_one", "language": "en"}}, ())


@pytest.mark.parametrize(
    ("name", "address", "content", "scope", "disable"),
    [
        ("smtp", "bounce@example.org", None, RECIPIENT, True),
        ("smtp", "blocked@example.org", None, MESSAGE, False),
        ("smtp", "greylist@example.org", None, None, False),
        ("sendgrid", "ana@example.org", FROM_A_STRANGER, CONFIG, False),
        ("sendgrid", "müller@example.org", None, RECIPIENT, False),
        ("fcm", "dead-1", None, RECIPIENT, True),
        ("fcm", "foreign-1", None, RECIPIENT, True),
        ("fcm", "invalid-1", None, RECIPIENT, True),
        ("fcm", "apns-auth-1", None, CONFIG, False),
        ("fcm", "busy-1", None, None, False),
        ("twilio", "+15005550001", None, RECIPIENT, True),
        ("twilio", "+15005550003", None, CONFIG, False),
        ("twilio", "+15005550004", None, RECIPIENT, False),
        ("twilio", "+15005550029", None, None, False),
        ("meta", "+15005551026", None, RECIPIENT, False),
        ("meta", "+15005551056", None, None, False),
        ("meta", "+15005551031", None, CONFIG, False),
        ("meta", "+4915112345678", MISSING_TEMPLATE, MESSAGE, False),
    ],
)
async def test_the_vendors_own_refusals_are_understood(sandbox, name, address, content, scope, disable):
    provider = sandbox_provider(name, sandbox)
    stand = Stand(provider, sandbox)
    with pytest.raises(TransientDeliveryError if scope is None else PermanentDeliveryError) as caught:
        await stand.send(address, content)
    assert await stand.arrived() == []
    if scope is not None:
        assert (caught.value.scope, caught.value.disable_address) == (scope, disable)
    await provider.close()
