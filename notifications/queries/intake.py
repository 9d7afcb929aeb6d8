"""What a batch of records leaves in the database, in one transaction; and the two reads that bound the bridge."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.campaigns.events import CampaignCommand, CampaignEvents, Touched, TouchedCampaign
from notifications.database import Sessions, execute, transaction
from notifications.events import Record, RejectedError, RejectReason
from notifications.events.intent import CancelCommand, Intent, NewNotification
from notifications.pending import PendingStart
from notifications.queries.intake_rows import blame, id_reused, notification_row, rejected_row
from notifications.statuses import NotificationStatus, NotificationType
from notifications.tables import Notification, RejectedEvent

PLANNED_PER_PLACE = 10


class Canceller(Protocol):
    """The ledger, as far as intake needs it: cancels inside the caller's transaction."""

    async def cancel(self, session: AsyncSession, notification_ids: Sequence[UUID]) -> Mapping[UUID, Any]: ...


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record and what became of it: an intent, or why it is rejected."""

    record: Record
    verdict: Intent | RejectedError


@dataclass(frozen=True, slots=True)
class Rejection:
    """Where a rejected record came from, and why it was rejected."""

    topic: str
    partition: int
    offset: int
    reason: RejectReason


@dataclass(slots=True)
class Stored:
    """`cancelled` are the unfinished notifications that a cancel in the batch or kept from before applies to."""

    starts: list[PendingStart] = field(default_factory=list)
    cancelled: list[UUID] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    campaigns: list[TouchedCampaign] = field(default_factory=list)

    def add(self, other: "Stored") -> None:
        self.starts += other.starts
        self.cancelled += other.cancelled
        self.rejected += other.rejected
        self.campaigns += other.campaigns


class IntakeStore:
    """`hash_key` keys the hashes that stand for recipients."""

    def __init__(self, sessions: Sessions, *, ledger: Canceller, campaigns: CampaignEvents, hash_key: bytes) -> None:
        self._sessions = sessions
        self._ledger = ledger
        self._campaigns = campaigns
        self._hash_key = hash_key

    async def store(self, arrivals: Sequence[Arrival]) -> Stored:
        """Store a batch; a second time changes nothing and returns the starts that are still missing.

        Raises:
            sqlalchemy.exc.DBAPIError, OSError: the database's fault, not the records'; try the whole batch again.

        """
        ordered = sorted(arrivals, key=_order)
        try:
            async with transaction(self._sessions) as session:
                return await self._store(session, ordered)
        except Exception as error:
            if blame(error) is None:
                raise
        async with transaction(self._sessions) as session:
            return await self._store_one_by_one(session, ordered)

    async def mark_started(self, ids: Sequence[UUID]) -> None:
        """Record that Temporal acknowledged these starts: no later delivery starts them again."""
        async with transaction(self._sessions) as session:
            await execute(session, _MARK_STARTED, {"ids": list(ids)})

    async def count_untried(self, limit: int) -> dict[NotificationType, int]:
        """Due notifications that no first try was recorded for, by type; each count ends at `limit`.

        Planned ones of the urgent types take a place only for every tenth of them.
        """
        per_place = [1 if kind is NotificationType.PROMOTIONAL else PLANNED_PER_PLACE for kind in NotificationType]
        parameters = {"limit": limit, "types": list(NotificationType), "per_place": per_place}
        async with self._sessions() as session:
            rows = await execute(session, _COUNT_UNTRIED, parameters)
            return {NotificationType(row.type): row.untried for row in rows}

    async def _store_one_by_one(self, session: AsyncSession, arrivals: Sequence[Arrival]) -> Stored:
        """Each record in a savepoint of its own; one that fails alone is rejected."""
        await self._lock(session, arrivals)
        stored = Stored()
        for arrival in arrivals:
            try:
                async with session.begin_nested():
                    stored.add(await self._store(session, [arrival]))
            except Exception as error:
                wrong = blame(error)
                if wrong is None:
                    raise
                rejection = RejectedError(RejectReason.UNSTORABLE, f"the event {wrong}: shorten or simplify its data")
                stored.add(await self._reject(session, [(arrival.record, rejection)]))
        return stored

    async def _store(self, session: AsyncSession, arrivals: Sequence[Arrival]) -> Stored:
        await self._lock(session, arrivals)
        rejected = [(one.record, one.verdict) for one in arrivals if isinstance(one.verdict, RejectedError)]
        fresh = [(one.record, one.verdict) for one in arrivals if isinstance(one.verdict, NewNotification)]
        cancels = [one.verdict for one in arrivals if isinstance(one.verdict, CancelCommand)]
        rows = [(record, notification_row(record, new, self._hash_key)) for record, new in fresh]
        starts, reused = await self._insert(session, rows)
        touched = await self._command(session, arrivals)
        stored = await self._reject(session, [*rejected, *reused, *touched.rejected])
        stored.starts, stored.campaigns = starts, touched.campaigns
        await self._keep(session, cancels)
        stored.cancelled = await self._cancel(session, _keys(arrivals))
        return stored

    async def _command(self, session: AsyncSession, arrivals: Sequence[Arrival]) -> Touched:
        """Behind the notifications, in every batch: campaigns are locked last."""
        commands = [(one.record, one.verdict) for one in arrivals if isinstance(one.verdict, CampaignCommand)]
        return await self._campaigns.carry_out(session, commands)

    async def _lock(self, session: AsyncSession, arrivals: Sequence[Arrival]) -> None:
        """An event and its cancel that arrive at the same moment on two bridges see one another, in either order.

        Commands on one campaign take turns.
        """
        locks = sorted({_lock_number(source, key) for source, key in _keys(arrivals)} | _campaign_locks(arrivals))
        if locks:
            await execute(session, _LOCK, {"locks": locks})

    async def _insert(
        self, session: AsyncSession, rows: Sequence[tuple[Record, dict[str, Any]]]
    ) -> tuple[list[PendingStart], list[tuple[Record, RejectedError]]]:
        """The starts that are missing, and the records whose id was used for another payload."""
        if not rows:
            return [], []
        launches = {row.id for row in await execute(session, _LAUNCHED, {"ids": [row["id"] for _, row in rows]})}
        taken = [(record, id_reused()) for record, row in rows if row["id"] in launches]
        rows = [(record, row) for record, row in rows if row["id"] not in launches]
        if not rows:
            return [], taken
        await execute(session, _INSERT, [row for _, row in rows])
        known = {row.id: row for row in await execute(session, _LOOK_UP, {"ids": list({row["id"] for _, row in rows})})}
        reused = [(record, id_reused()) for record, row in rows if known[row["id"]].payload_hash != row["payload_hash"]]
        starts = [
            PendingStart(row.id, NotificationType(row.type), row.definition, row.recipient_ref)
            for row in known.values()
            if row.started_at is None
        ]
        return starts, [*taken, *reused]

    async def _keep(self, session: AsyncSession, cancels: Sequence[CancelCommand]) -> None:
        latest: dict[tuple[str, str], datetime] = {}
        for cancel in cancels:
            key = (cancel.source, cancel.cancelkey)
            latest[key] = max(cancel.time, latest.get(key, cancel.time))
        for (source, cancelkey), time in sorted(latest.items()):
            await execute(session, _KEEP_CANCEL, {"source": source, "cancelkey": cancelkey, "time": time})

    async def _cancel(self, session: AsyncSession, keys: Sequence[tuple[str, str]]) -> list[UUID]:
        """Apply kept cancels to the notifications of these keys, whichever came first."""
        if not keys:
            return []
        parameters = {"sources": [source for source, _ in keys], "cancelkeys": [key for _, key in keys]}
        found = list(await execute(session, _CANCELLED_BY_KEY, parameters))
        fresh = [row.id for row in found if row.cancelled_at is None]
        if fresh:
            await self._ledger.cancel(session, fresh)
            await execute(session, _END_UNPLANNED, {"ids": fresh, "status": NotificationStatus.CANCELLED})
        return [row.id for row in found]

    async def _reject(self, session: AsyncSession, rejected: Sequence[tuple[Record, RejectedError]]) -> Stored:
        if rejected:
            await execute(session, _INSERT_REJECTED, [rejected_row(record, error) for record, error in rejected])
        return Stored(
            rejected=[
                Rejection(record.topic, record.partition, record.offset, error.reason) for record, error in rejected
            ]
        )


def _order(arrival: Arrival) -> tuple[str, str, str, int, int]:
    """By (source, id), so that two bridges with the same records take their locks in the same order."""
    record, verdict = arrival.record, arrival.verdict
    event = verdict.event if isinstance(verdict, NewNotification | CampaignCommand) else None
    source, event_id = (event.source, event.id) if event is not None else ("", "")
    return source, event_id, record.topic, record.partition, record.offset


def _keys(arrivals: Sequence[Arrival]) -> list[tuple[str, str]]:
    found = set()
    for arrival in arrivals:
        verdict = arrival.verdict
        if isinstance(verdict, CancelCommand):
            found.add((verdict.source, verdict.cancelkey))
        elif isinstance(verdict, NewNotification) and verdict.event.cancelkey is not None:
            found.add((verdict.event.source, verdict.event.cancelkey))
    return sorted(found)


def _campaign_locks(arrivals: Sequence[Arrival]) -> set[int]:
    commands = [one.verdict for one in arrivals if isinstance(one.verdict, CampaignCommand)]
    return {int.from_bytes(each.campaign_id.bytes[:8], signed=True) for each in commands}


def _lock_number(source: str, cancelkey: str) -> int:
    digest = hashlib.sha256(f"cancel:{len(source)}:{source}{cancelkey}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], signed=True)


_INSERT = insert(Notification).on_conflict_do_nothing()
_INSERT_REJECTED = insert(RejectedEvent).on_conflict_do_nothing()

_LOCK = """
SELECT pg_advisory_xact_lock(number) FROM unnest(CAST(:locks AS bigint[])) WITH ORDINALITY AS l (number, place)
ORDER BY place
"""

# An id names an event, whatever it became: a campaign's messages have the same numbers as a notification's.
_LAUNCHED = "SELECT id FROM campaigns WHERE id = ANY (CAST(:ids AS uuid[]))"

_LOOK_UP = """
SELECT id, payload_hash, started_at, type, definition, recipient_ref FROM notifications
WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id
"""

# The plan sets `wake_at` again; until then it lets reconciliation find a workflow that Temporal lost.
_MARK_STARTED = """
UPDATE notifications SET started_at = now(), wake_at = coalesce(wake_at, now())
WHERE id IN (SELECT id FROM notifications WHERE id = ANY (CAST(:ids AS uuid[])) AND started_at IS NULL
             ORDER BY id FOR UPDATE)
"""

_KEEP_CANCEL = """
INSERT INTO cancellations (source, cancelkey, time) VALUES (:source, :cancelkey, :time)
ON CONFLICT (source, cancelkey) DO UPDATE SET time = excluded.time, received_at = now()
WHERE cancellations.time < excluded.time
"""

_CANCELLED_BY_KEY = """
SELECT n.id, n.cancelled_at
FROM unnest(CAST(:sources AS text[]), CAST(:cancelkeys AS text[])) AS k (source, cancelkey)
JOIN cancellations c USING (source, cancelkey)
JOIN notifications n USING (source, cancelkey)
WHERE n.event_time <= c.time AND n.finished_at IS NULL
ORDER BY n.id
"""

# Its workflow has not planned yet and will find it cancelled; until then the row says so by itself.
_END_UNPLANNED = """
UPDATE notifications n SET status = :status
WHERE n.id = ANY (CAST(:ids AS uuid[])) AND NOT EXISTS (SELECT FROM plans p WHERE p.notification_id = n.id)
"""

# Of what is planned, the urgent types count a share only: it waits for a slot of its channel, and one slow channel must
# not keep in Kafka what would go out on the others.
_COUNT_UNTRIED = """
SELECT t.type, least(:limit, (
    SELECT count(*) FROM (
        SELECT FROM notifications n WHERE n.tried_at IS NULL AND n.type = t.type AND n.due_at IS NULL LIMIT :limit
    ) AS unplanned
) + (
    SELECT count(*) FROM (
        SELECT FROM notifications n WHERE n.tried_at IS NULL AND n.type = t.type AND n.due_at <= now()
        LIMIT :limit * t.per_place
    ) AS planned
) / t.per_place) AS untried
FROM unnest(CAST(:types AS text[]), CAST(:per_place AS int[])) AS t (type, per_place)
"""
