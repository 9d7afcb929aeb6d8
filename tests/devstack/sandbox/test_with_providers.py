"""Our own providers against the sandbox: the two were written apart, from the vendors' documents."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

import pytest
import uvloop

from notifications.ids import message_id
from notifications.providers.base import (
    Content,
    EmailContent,
    OutgoingMessage,
    PermanentDeliveryError,
    PushContent,
    Receipt,
    SmsContent,
    WhatsAppContent,
)
from notifications.providers.registry import build_providers
from notifications.settings import Settings
from notifications.statuses import Channel

ORIGIN = UUID("a56453a4-7db3-5408-8b23-96f8b4313634")
KEY = message_id(ORIGIN, 1)
TEMPLATES = {"meta": {"name": "order_shipped", "language": "en_US"}}
CONTENT: dict[Channel, tuple[str, Content, str]] = {
    Channel.EMAIL: ("jürgen@bücher.example", EmailContent("Grüße", "<p>Hallo</p>", "Hallo"), "bounce@example.org"),
    Channel.PUSH: ("device-1", PushContent("Title", "Body", "https://acme.example/"), "dead-1"),
    Channel.SMS: ("+4915112345678", SmsContent("481 902", 1, "GSM-7"), "+15005550009"),
    Channel.WHATSAPP: ("+4915112345678", WhatsAppContent(TEMPLATES, ("Ana",)), "+15005551026"),
}


def _message(channel: Channel, address: str) -> OutgoingMessage:
    given = {"origin_id": ORIGIN, "seq": 1, "attempt": 2, "channel": channel, "content": CONTENT[channel][1]}
    return OutgoingMessage(address=address, ttl=timedelta(hours=1), **given)


async def _exchange(settings: Settings, channel: Channel) -> Receipt:
    (provider,) = build_providers(settings, [channel])[channel]
    address, _, refused = CONTENT[channel]
    try:
        await provider.check()
        deadline = time.monotonic() + 10
        receipt = await provider.send(_message(channel, address), idempotency_key=KEY, deadline=deadline)
        with pytest.raises(PermanentDeliveryError):
            await provider.send(_message(channel, refused), idempotency_key=KEY, deadline=deadline)
    finally:
        await provider.close()
    return receipt


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("channel", list(Channel))
async def test_a_provider_of_ours_is_understood(sandbox, client, channel, run) -> None:
    """On uvloop too, as our processes run: its transports, for one, are of no class that asyncio knows."""
    settings = Settings(dev_sandbox_url=sandbox.http_url, dev_sandbox_smtp_port=sandbox.smtp_port)
    receipt = await asyncio.to_thread(run, _exchange(settings, channel))
    (entry,) = (await client.get("/api/inbox", params={"key": str(KEY)})).json()["items"]
    assert entry["channel"] == channel
    assert entry["correlation"] == f"{ORIGIN}.1.2"
    assert entry["provider_message_id"] == receipt.provider_message_id
