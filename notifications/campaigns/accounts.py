"""A campaign's account: every message once, under its status now; the sum is what was targeted, at every instant."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from notifications.database import Sessions, execute_alone
from notifications.queries.accounts import COUNT
from notifications.statuses import MessageStatus

_AT_MOST_EVERY = 1.0  # seconds between two counts of one campaign
_SHARE = 0.2  # of one process's time at most, where a count takes long


@dataclass(frozen=True, slots=True)
class Account:
    """Messages by status, at one instant; `skipped` by reason adds up to the status of that name."""

    at: datetime
    by_status: Mapping[MessageStatus, int]
    skipped: Mapping[str, int] = field(default_factory=dict)

    @property
    def targeted(self) -> int:
        return sum(self.by_status.values())

    def of(self, status: MessageStatus) -> int:
        return self.by_status.get(status, 0)

    @property
    def waiting(self) -> int:
        return self.of(MessageStatus.PENDING)

    @property
    def in_flight(self) -> int:
        return self.of(MessageStatus.SENDING)


async def count(sessions: Sessions, campaign_id: UUID) -> Account:
    """Count now, in one statement: no message is missed or counted twice while others change."""
    by_status: dict[MessageStatus, int] = defaultdict(int)
    skipped: dict[str, int] = {}
    rows = await execute_alone(sessions, COUNT, {"campaign": campaign_id})
    for status, reason, number in rows:
        by_status[MessageStatus(status)] += number
        if reason is not None:
            skipped[reason] = number
    return Account(datetime.now(UTC), dict(by_status), skipped)


class Accounts:
    """One per process: whoever looks at a campaign shares one count of it a second."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._locks: dict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last: dict[UUID, tuple[Account, float]] = {}  # with the instant from which it is too old

    async def of(self, campaign_id: UUID) -> Account:
        """At most about a second old."""
        async with self._locks[campaign_id]:
            known = self._last.get(campaign_id)
            if known is not None and time.monotonic() < known[1]:
                return known[0]
            begun = time.monotonic()
            account = await count(self._sessions, campaign_id)
            took = time.monotonic() - begun
            self._forget_old()
            self._last[campaign_id] = (account, begun + max(_AT_MOST_EVERY, took / _SHARE))
            return account

    def _forget_old(self) -> None:
        now = time.monotonic()
        for campaign_id in [key for key, (_, until) in self._last.items() if until < now]:
            del self._last[campaign_id]
            if not self._locks[campaign_id].locked():
                del self._locks[campaign_id]
