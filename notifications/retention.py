"""How long what has ended is kept, and its removal, a bounded batch at a time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

from notifications.database import Sessions, execute, transaction
from notifications.queries import retention as sql
from notifications.settings import RetentionSettings

BATCH = 1_000  # rows that one statement looks at


class Kept(StrEnum):
    """What is removed, in this order: a notification waits for its outcomes to be published, not for them to go."""

    NOTIFICATIONS = "notifications"  # with their messages, attempts, receipts and plans
    CANCELLATIONS = "cancellations"
    OUTBOX = "outbox"
    REJECTED_EVENTS = "rejected_events"
    UNMATCHED_RECEIPTS = "unmatched_receipts"
    CAMPAIGNS = "campaigns"  # with their messages, attempts and receipts, and texts of their own
    IMPORTS = "imports"  # with their refused rows, and what waits of those that never ended


@dataclass(frozen=True)
class Place:
    """Where a look got to: the key of its last row."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Batch:
    """`end`: no further row is old enough; the next look begins at the oldest again."""

    removed: int
    place: Place
    end: bool


class Retention:
    def __init__(self, sessions: Sessions, settings: RetentionSettings, *, batch: int = BATCH) -> None:
        self._sessions = sessions
        self._batch = batch
        self._periods = {
            Kept.NOTIFICATIONS: settings.ledger,
            Kept.CANCELLATIONS: settings.ledger,
            Kept.OUTBOX: settings.outbox,
            Kept.REJECTED_EVENTS: settings.rejected,
            Kept.UNMATCHED_RECEIPTS: settings.receipts,
            Kept.CAMPAIGNS: settings.ledger,
            Kept.IMPORTS: settings.imports,
        }

    async def remove(self, kind: Kept, after: Place | None = None) -> Batch | None:
        """Look at the next rows in one transaction and remove those whose time has come; None: all are kept.

        Safe to break off, to run twice, and to run twice at once.
        """
        period = self._periods[kind]
        if period is None:
            return None
        start = after or _START[kind]
        parameters = {"period": period, "limit": self._batch, "at": start.at, "id": start.id}
        async with transaction(self._sessions) as session:
            row = (await execute(session, _STATEMENTS[kind], parameters)).one_or_none()
        if row is None:
            return Batch(0, start, end=True)
        return Batch(row.removed, Place(row.at, row.id), end=row.seen < self._batch)


_STATEMENTS = {
    Kept.NOTIFICATIONS: sql.NOTIFICATIONS,
    Kept.CANCELLATIONS: sql.CANCELLATIONS,
    Kept.OUTBOX: sql.OUTBOX,
    Kept.REJECTED_EVENTS: sql.REJECTED_EVENTS,
    Kept.UNMATCHED_RECEIPTS: sql.UNMATCHED_RECEIPTS,
    Kept.CAMPAIGNS: sql.CAMPAIGNS,
    Kept.IMPORTS: sql.IMPORTS,
}
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_START = {
    Kept.NOTIFICATIONS: Place(_FIRST, str(UUID(int=0))),
    Kept.CANCELLATIONS: Place(_FIRST, ""),
    Kept.OUTBOX: Place(_FIRST, "-1"),
    Kept.REJECTED_EVENTS: Place(_FIRST, "-1"),
    Kept.UNMATCHED_RECEIPTS: Place(_FIRST, ""),
    Kept.CAMPAIGNS: Place(_FIRST, ""),
    Kept.IMPORTS: Place(_FIRST, ""),
}
