"""Addresses that a provider called dead, or whose owner told it to stop: never used again, a device is disabled."""

from dataclasses import dataclass
from typing import Protocol

from notifications.addresses import address_ref
from notifications.consent import SCOPE_ALL
from notifications.database import Sessions, transaction
from notifications.providers.receipts import SuppressReason
from notifications.queries.recipients import disable_device, suppress
from notifications.statuses import Channel


class Addressed(Protocol):
    """Whose address it is: a claim, or what is left of one."""

    @property
    def channel(self) -> Channel: ...

    @property
    def address(self) -> str | None: ...

    @property
    def recipient_id(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """An address and whose it is."""

    channel: Channel
    address: str | None
    recipient_id: str | None


class DeadAddresses:
    def __init__(self, sessions: Sessions, *, hash_key: bytes) -> None:
        self._sessions = sessions
        self._hash_key = hash_key

    async def condemn(self, claim: Addressed, *, provider: str, opted_out: bool = False) -> None:
        """Stop using the claim's address on its channel; run twice, the second changes nothing."""
        if claim.address is None:
            return
        reason = "dead_token" if claim.channel is Channel.PUSH else SuppressReason.HARD_BOUNCE
        if opted_out:
            reason = SuppressReason.STOPPED
        async with transaction(self._sessions) as session:
            if claim.channel is Channel.PUSH and claim.recipient_id is not None:
                await disable_device(session, claim.recipient_id, token=claim.address, reason=reason)
            # Also for a device: one that an external service keeps is not ours to disable.
            ref = address_ref(self._hash_key, claim.channel, claim.address)
            await suppress(session, ref, claim.channel, SCOPE_ALL, reason, provider)
