"""A provider whose calls are counted against the rate of its account, so that campaigns make room for them."""

from collections.abc import Callable
from uuid import UUID

from notifications.providers.base import OutgoingMessage, Provider, Receipt


class CountedProvider:
    """Like the one it is given; `count` is told its name before each call. Whoever made that one closes it."""

    def __init__(self, provider: Provider, count: Callable[[str], None]) -> None:
        self.name = provider.name
        self.channel = provider.channel
        self._provider = provider
        self._count = count

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        self._count(self.name)
        return await self._provider.send(message, idempotency_key=idempotency_key, deadline=deadline)

    async def check(self) -> None:
        await self._provider.check()

    async def close(self) -> None:
        await self._provider.close()
