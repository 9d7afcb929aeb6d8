"""A provider that keeps what it is given: for tests of everything that sends."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from notifications.providers.base import DeliveryError, OutgoingMessage, Receipt
from notifications.statuses import Channel


@dataclass(frozen=True, slots=True)
class SentMessage:
    """One accepted call."""

    message: OutgoingMessage
    idempotency_key: UUID
    deadline: float


class MemoryProvider:
    """Accepts everything, unless a script says otherwise.

    `calls` counts every send begun, `sent` holds those accepted. `gate`, while cleared, holds calls back, as a slow
    provider would.
    """

    def __init__(self, channel: Channel, *, name: str = "memory") -> None:
        self.name = name
        self.channel = channel
        self.calls = 0
        self.sent: list[SentMessage] = []
        self.closed = False
        self.gate = asyncio.Event()
        self.gate.set()
        self._script: deque[DeliveryError | None] = deque()

    def script(self, outcomes: Iterable[DeliveryError | None]) -> None:
        """The next calls end with these, in order; None accepts. Calls after the last are accepted."""
        self._script.extend(outcomes)

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        self.calls += 1
        outcome = self._script.popleft() if self._script else None
        await self.gate.wait()
        if outcome is not None:
            raise outcome
        self.sent.append(SentMessage(message, idempotency_key, deadline))
        return Receipt(f"{self.name}-{len(self.sent)}")

    async def check(self) -> None:
        """Ends as the next scripted outcome says, and leaves it for the next send."""
        if self._script and self._script[0] is not None:
            raise self._script[0]

    async def close(self) -> None:
        self.closed = True
