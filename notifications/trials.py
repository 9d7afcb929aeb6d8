"""One rendered message through a real provider, to see it arrive. It stands outside the ledger: nothing is recorded,
retried or published, and no consent is asked.
"""

import time
import uuid
from dataclasses import dataclass

from notifications.providers.base import Content, OutgoingMessage
from notifications.providers.registry import build_providers
from notifications.settings import Settings
from notifications.statuses import Channel

CALL_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a provider said to it."""

    provider: str
    provider_message_id: str | None
    seconds: float


async def send_trial(settings: Settings, channel: Channel, content: Content, to: str) -> Trial:
    """Send it through the channel's first provider.

    Raises:
        SettingsError: a setting of the providers is missing.
        DeliveryError: the provider did not accept it.

    """
    provider, *spare = build_providers(settings, [channel])[channel]
    message = OutgoingMessage(origin_id=uuid.uuid4(), seq=1, attempt=1, channel=channel, address=to, content=content)
    began = time.monotonic()
    try:
        receipt = await provider.send(message, idempotency_key=uuid.uuid4(), deadline=began + CALL_SECONDS)
    finally:
        for opened in (provider, *spare):
            await opened.close()
    return Trial(
        provider=provider.name,
        provider_message_id=receipt.provider_message_id,
        seconds=round(time.monotonic() - began, 3),
    )
