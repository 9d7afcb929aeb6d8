"""Calls that are counted against the rate of their account."""

import time
from uuid import uuid4

from notifications.providers.base import OutgoingMessage, SmsContent, TransientDeliveryError
from notifications.providers.counted import CountedProvider
from notifications.providers.memory import MemoryProvider
from notifications.statuses import Channel

MESSAGE = OutgoingMessage(
    origin_id=uuid4(),
    seq=1,
    attempt=1,
    channel=Channel.SMS,
    address="+4915112345678",
    content=SmsContent("hello", 1, "GSM-7"),
)


async def test_every_call_is_counted_whatever_comes_of_it():
    inner = MemoryProvider(Channel.SMS, name="twilio")
    inner.script([TransientDeliveryError("twilio_30001"), None])
    counted: list[str] = []
    provider = CountedProvider(inner, counted.append)
    assert (provider.name, provider.channel) == ("twilio", Channel.SMS)
    for _ in range(2):
        try:
            await provider.send(MESSAGE, idempotency_key=uuid4(), deadline=time.monotonic() + 1)
        except TransientDeliveryError:
            assert counted == ["twilio"]
    assert counted == ["twilio", "twilio"]
    assert len(inner.sent) == 1
    await provider.check()
    await provider.close()
    assert inner.closed
