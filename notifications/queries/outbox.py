"""The outbox as its one publisher reads it, on a connection of its own that holds the lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifications.campaigns.lifecycle import OUTCOME_SEQ

_LOCK = 0x7469_6469_6E67_7301  # "tidings", 1: one publisher at a time


@dataclass(frozen=True, slots=True)
class Outcome:
    """A change of a message's status, or of its campaign: then `seq` is 0 and `attempt` the round.

    `event_source` and `event_id` name the event that caused it; both are None where none did.
    """

    id: int
    origin_id: UUID
    origin_kind: str
    seq: int
    version: int
    channel: str
    provider: str | None
    status: str
    stuck: bool
    reason: str | None
    attempt: int
    created_at: datetime
    recipient_id: str | None
    event_source: str | None
    event_id: str | None

    @property
    def is_of_campaign(self) -> bool:
        """Of a campaign itself; its messages begin at 1."""
        return self.origin_kind == "campaign" and self.seq == OUTCOME_SEQ


_UNPUBLISHED = """
SELECT o.id, o.origin_id, o.origin_kind, o.seq, o.version, o.channel, o.provider, o.status, o.stuck, o.reason,
       o.attempt, o.created_at, coalesce(m.recipient_id, n.recipient_id) AS recipient_id,
       coalesce(n.source, c.source) AS event_source, coalesce(n.event_id, c.event_id) AS event_id
FROM outbox o
LEFT JOIN messages m ON m.origin_id = o.origin_id AND m.seq = o.seq
LEFT JOIN notifications n ON n.id = o.origin_id AND o.origin_kind = 'notification'
LEFT JOIN campaigns c ON c.id = o.origin_id AND o.origin_kind = 'campaign'
WHERE o.published_at IS NULL
ORDER BY o.id
LIMIT :limit
"""

# A publisher that hangs keeps its connection, and with it the lock: Postgres cannot tell it from one that is idle.
CUT_PUBLISHER = f"""
SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
  AND a.usename = current_user  -- another role's may not be cut
  AND classid = {_LOCK >> 32} AND objid = {_LOCK & 0xFFFF_FFFF}
"""


async def become_publisher(connection: AsyncConnection) -> bool:
    """Take the lock, which is this connection's until it closes; False: another process has it."""
    return bool(await connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": _LOCK}))


async def unpublished(connection: AsyncConnection, limit: int) -> list[Outcome]:
    """The oldest, in the order of their ids; those of one message are in the order of its changes."""
    rows = await connection.execute(text(_UNPUBLISHED), {"limit": limit})
    return [Outcome(**row) for row in rows.mappings()]


async def oldest_unpublished(connection: AsyncConnection) -> datetime | None:
    """When the first of those that wait was written."""
    found: datetime | None = await connection.scalar(
        text("SELECT created_at FROM outbox WHERE published_at IS NULL ORDER BY id LIMIT 1")
    )
    return found


async def mark_published(connection: AsyncConnection, ids: Sequence[int]) -> None:
    await connection.execute(
        text("UPDATE outbox SET published_at = now() WHERE id = ANY (CAST(:ids AS bigint[]))"), {"ids": list(ids)}
    )
