"""The circuit breaker of a provider on a channel, shared by all workers: its state is a row that the claim reads.

Closed, it counts outages in a row. At the threshold it opens: nothing is claimed for the provider, and messages wait or
go to the next one. After a while one claim at a time is let through as a probe; its answer closes the breaker, another
outage opens it for twice as long.
"""

from enum import StrEnum

from notifications.database import Sessions, transaction
from notifications.providers.base import DeliveryError, TransientDeliveryError, UnknownOutcome
from notifications.queries import providers as sql
from notifications.statuses import Channel

THRESHOLD = 5  # outages in a row
SHORTEST_SECONDS = 5.0
LONGEST_SECONDS = 60.0


class Change(StrEnum):
    OPENED = "opened"
    CLOSED = "closed"


def is_outage(error: Exception | None) -> bool:
    """Whether a call's end says that the provider is out, and not that it refused this message for now.

    A call whose answer is lost counts: whatever became of the message, the provider did not answer.
    """
    if isinstance(error, TransientDeliveryError):
        return error.outage
    return isinstance(error, UnknownOutcome) or (error is not None and not isinstance(error, DeliveryError))


class Breaker:
    """`threshold` is in outages, the times in seconds."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        threshold: int = THRESHOLD,
        shortest_seconds: float = SHORTEST_SECONDS,
        longest_seconds: float = LONGEST_SECONDS,
    ) -> None:
        self._sessions = sessions
        self._threshold = threshold
        self._shortest = shortest_seconds
        self._longest = longest_seconds

    async def note_outage(self, provider: str, channel: Channel, code: str | None) -> Change | None:
        """Count one; tells where it opened the breaker, or opened it again."""
        async with transaction(self._sessions) as session:
            failures = await sql.count_outage(session, provider, channel, code)
            if failures is None or failures < self._threshold:
                return None
            await sql.open_breaker(
                session,
                provider,
                channel,
                threshold=self._threshold,
                shortest=self._shortest,
                longest=self._longest,
            )
        return Change.OPENED

    async def note_answer(self, provider: str, channel: Channel) -> Change | None:
        """The provider answered, whatever it said; tells where that closed the breaker."""
        async with transaction(self._sessions) as session:
            was_open = await sql.close_breaker(session, provider, channel)
        return Change.CLOSED if was_open else None
