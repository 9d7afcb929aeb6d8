"""What should be moving and may not be: notifications and resends without a workflow, outcomes nobody publishes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notifications.database import Sessions, execute, transaction
from notifications.pending import PendingStart
from notifications.queries.outbox import CUT_PUBLISHER
from notifications.statuses import NotificationType

NEVER_STARTED_AFTER = timedelta(minutes=1)  # the bridge starts within seconds of storing, the API of freeing
OVERDUE_AFTER = timedelta(minutes=10)  # past `wake_at`; an outcome is published within a second


@dataclass(frozen=True, slots=True)
class Resend:
    """A notification of which an `unknown` message was freed; `seq` None: nothing of it is open any more.

    `noted_at` is the note that says so.
    """

    id: UUID
    type: NotificationType
    noted_at: datetime
    seq: int | None
    round: int | None


@dataclass(frozen=True, slots=True)
class Unpublished:
    """Outcomes that wait for longer than `OVERDUE_AFTER`, counted up to a limit.

    `moving`: the one before them was published a moment ago, so it is only much at once.
    """

    waiting: int
    oldest: datetime | None
    moving: bool


class ReconciliationStore:
    """Reads of at most `limit` rows; each row that was looked at is not found again for a while."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def never_started(self, limit: int) -> list[PendingStart]:
        return await self._find(_NEVER_STARTED, limit, age=NEVER_STARTED_AFTER)

    async def overdue(self, limit: int) -> list[PendingStart]:
        return await self._find(_OVERDUE, limit, age=OVERDUE_AFTER)

    async def unfinished(self, ids: Sequence[UUID]) -> list[PendingStart]:
        """Those of the ids whose notification has not ended."""
        return await self._find(_UNFINISHED, len(ids), ids=list(ids))

    async def mark_seen(self, ids: Sequence[UUID]) -> None:
        """Their workflow runs now: started, and to be looked at again only after `OVERDUE_AFTER`."""
        async with transaction(self._sessions) as session:
            await execute(session, _MARK_SEEN, {"ids": list(ids)})

    async def resends(self, limit: int) -> list[Resend]:
        """What was freed more than `NEVER_STARTED_AFTER` ago, of `limit` notifications."""
        async with self._sessions() as session:
            rows = await execute(session, _RESENDS, {"limit": limit, "age": NEVER_STARTED_AFTER})
            return [Resend(row.id, NotificationType(row.type), row.resend_at, row.seq, row.round) for row in rows]

    async def mark_resends(self, seen: Sequence[Resend]) -> None:
        """Look again later at those with an open message, forget the others; what was freed meanwhile is kept."""
        noted = {each.id: each.noted_at for each in seen}
        async with transaction(self._sessions) as session:
            await execute(session, _MARK_RESENDS, {"ids": list(noted), "noted": list(noted.values())})

    async def unpublished(self, limit: int) -> Unpublished:
        async with self._sessions() as session:
            parameters = {"limit": limit, "age": OVERDUE_AFTER}
            row = (await execute(session, _UNPUBLISHED, parameters)).one()
        return Unpublished(row.waiting, row.oldest, bool(row.moving))

    async def cut_publisher(self) -> bool:
        """End the connection of the process that publishes, so that another takes over; False: there is none."""
        async with transaction(self._sessions) as session:
            return bool((await execute(session, CUT_PUBLISHER)).all())

    async def _find(self, statement: str, limit: int, **parameters: object) -> list[PendingStart]:
        async with self._sessions() as session:
            rows = await execute(session, statement, {"limit": limit, **parameters})
            return [PendingStart(row.id, NotificationType(row.type), row.definition, row.recipient_ref) for row in rows]


_COLUMNS = "SELECT id, type, definition, recipient_ref FROM notifications"

_NEVER_STARTED = f"""
{_COLUMNS} WHERE started_at IS NULL AND finished_at IS NULL AND received_at < now() - CAST(:age AS interval)
ORDER BY received_at LIMIT :limit
"""

_OVERDUE = f"""
{_COLUMNS} WHERE finished_at IS NULL AND wake_at < now() - CAST(:age AS interval) ORDER BY wake_at LIMIT :limit
"""

_UNFINISHED = f"""
{_COLUMNS} WHERE id = ANY (CAST(:ids AS uuid[])) AND finished_at IS NULL ORDER BY id LIMIT :limit
"""

_MARK_SEEN = """
UPDATE notifications SET started_at = coalesce(started_at, now()), wake_at = greatest(wake_at, now())
WHERE id IN (SELECT id FROM notifications WHERE id = ANY (CAST(:ids AS uuid[])) AND finished_at IS NULL
             ORDER BY id FOR UPDATE)
"""

# Any other round of an open message is its notification's own workflow's.
_IS_RESENT = "m.origin_id = n.id AND m.status IN ('pending', 'sending') AND m.round = m.resend_round"

_RESENDS = f"""
SELECT n.id, n.type, n.resend_at, m.seq, m.round
FROM (SELECT id, type, resend_at FROM notifications
      WHERE resend_at < now() - CAST(:age AS interval) ORDER BY resend_at LIMIT :limit) n
LEFT JOIN messages m ON {_IS_RESENT}
ORDER BY n.resend_at, n.id, m.seq
"""

_MARK_RESENDS = f"""
WITH held AS (
    SELECT n.id FROM notifications n
    JOIN unnest(CAST(:ids AS uuid[]), CAST(:noted AS timestamptz[])) AS s (id, noted_at)
      ON n.id = s.id AND n.resend_at = s.noted_at
    ORDER BY n.id FOR UPDATE OF n
)
UPDATE notifications n SET resend_at = CASE WHEN EXISTS (SELECT FROM messages m WHERE {_IS_RESENT}) THEN now() END
FROM held h WHERE n.id = h.id
"""

_UNPUBLISHED = """
WITH waiting AS (
    SELECT id, created_at FROM outbox WHERE published_at IS NULL AND created_at < now() - CAST(:age AS interval)
    ORDER BY id LIMIT :limit
)
SELECT count(*) AS waiting, min(created_at) AS oldest,
       (SELECT o.published_at > now() - interval '1 minute' FROM outbox o
        WHERE o.id < (SELECT min(id) FROM waiting) ORDER BY o.id DESC LIMIT 1) AS moving
FROM waiting
"""
