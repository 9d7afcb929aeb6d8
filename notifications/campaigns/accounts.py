"""A campaign's account: every message once, under its status now; the sum is what was targeted, at every instant."""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

from notifications.database import Sessions, execute_alone
from notifications.queries.accounts import COUNT
from notifications.statuses import MessageStatus

_AT_MOST_EVERY = 1.0  # seconds between two counts of one campaign
_SHARE = 0.2  # of one process's time at most, where a count takes long
_REMEMBERED = 120  # counts of a campaign, for the plot of its rate
_REMEMBERED_SECONDS = 30.0  # without anybody who looks
# What a provider took: a bounce is reported after that.
_ACCEPTED = (
    MessageStatus.SENT,
    MessageStatus.DELIVERED,
    MessageStatus.OPENED,
    MessageStatus.CLICKED,
    MessageStatus.BOUNCED,
)


@dataclass(frozen=True, slots=True)
class Account:
    """Messages by status, at one instant; `skipped` by reason adds up to the status of that name.

    `recipients` are the people behind them: fewer than messages, where somebody has several devices.
    """

    at: datetime
    by_status: Mapping[MessageStatus, int]
    skipped: Mapping[str, int] = field(default_factory=dict)
    recipients: int = 0

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

    @property
    def accepted(self) -> int:
        return sum(self.of(status) for status in _ACCEPTED)


@dataclass(frozen=True, slots=True)
class Pace:
    """Messages accepted per second, between the count before and the one at `at`."""

    at: datetime
    per_second: float


async def count(sessions: Sessions, campaign_id: UUID) -> Account:
    """Count now, in one statement: no message is missed or counted twice while others change."""
    by_status: dict[MessageStatus, int] = defaultdict(int)
    skipped: dict[str, int] = {}
    rows = await execute_alone(sessions, COUNT, {"campaign": campaign_id})
    for status, reason, number, _ in rows:
        by_status[MessageStatus(status)] += number
        if reason is not None:
            skipped[reason] = number
    recipients = rows[0][3] if rows else 0  # of the campaign, in each row
    return Account(datetime.now(UTC), dict(by_status), skipped, recipients)


@dataclass(frozen=True, slots=True)
class _Counted:
    """`begun` and `until`, from when on it is too old, are of `time.monotonic()`."""

    account: Account
    begun: float
    until: float


class Accounts:
    """One per process: whoever looks at a campaign shares one count of it a second."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._locks: dict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last: dict[UUID, _Counted] = {}
        self._past: dict[UUID, deque[Account]] = {}

    async def of(self, campaign_id: UUID, *, since: float = 0.0) -> Account:
        """At most about a second old, and not older than `since` (a `time.monotonic()` instant)."""
        async with self._locks[campaign_id]:
            known = self._last.get(campaign_id)
            if known is not None and time.monotonic() < known.until and known.begun >= since:
                return known.account
            begun = time.monotonic()
            account = await count(self._sessions, campaign_id)
            took = time.monotonic() - begun
            self._forget_old()
            self._last[campaign_id] = _Counted(account, begun, begun + max(_AT_MOST_EVERY, took / _SHARE))
            self._past.setdefault(campaign_id, deque(maxlen=_REMEMBERED)).append(account)
            return account

    def paces(self, campaign_id: UUID) -> list[Pace]:
        """How fast it went, oldest first, for as long as somebody has been looking."""
        counted = list(self._past.get(campaign_id, ()))
        return [
            Pace(after.at, max(0, after.accepted - before.accepted) / (after.at - before.at).total_seconds())
            for before, after in pairwise(counted)
            if after.at > before.at
        ]

    def _forget_old(self) -> None:
        now = time.monotonic()
        for campaign_id in [key for key, last in self._last.items() if last.until + _REMEMBERED_SECONDS < now]:
            del self._last[campaign_id]
            del self._past[campaign_id]
            if not self._locks[campaign_id].locked():
                del self._locks[campaign_id]
