"""What should be moving and may not be: notifications whose workflow never started, was ended, or overslept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from notifications.database import Sessions, execute, transaction
from notifications.statuses import NotificationType

NEVER_STARTED_AFTER = timedelta(minutes=1)  # the bridge starts within seconds of storing
OVERDUE_AFTER = timedelta(minutes=10)  # past `wake_at`


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What a start tells Temporal."""

    id: UUID
    type: NotificationType
    definition: str
    recipient_ref: str


class ReconciliationStore:
    """Reads of at most `limit` rows; each row that was looked at is not found again for `OVERDUE_AFTER`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def never_started(self, limit: int) -> list[Unfinished]:
        return await self._find(_NEVER_STARTED, limit, age=NEVER_STARTED_AFTER)

    async def overdue(self, limit: int) -> list[Unfinished]:
        return await self._find(_OVERDUE, limit, age=OVERDUE_AFTER)

    async def unfinished(self, ids: Sequence[UUID]) -> list[Unfinished]:
        """Those of the ids whose notification has not ended."""
        return await self._find(_UNFINISHED, len(ids), ids=list(ids))

    async def mark_seen(self, ids: Sequence[UUID]) -> None:
        """Their workflow runs now: started, and to be looked at again only after `OVERDUE_AFTER`."""
        async with transaction(self._sessions) as session:
            await execute(session, _MARK_SEEN, {"ids": list(ids)})

    async def _find(self, statement: str, limit: int, **parameters: object) -> list[Unfinished]:
        async with self._sessions() as session:
            rows = await execute(session, statement, {"limit": limit, **parameters})
            return [Unfinished(row.id, NotificationType(row.type), row.definition, row.recipient_ref) for row in rows]


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
