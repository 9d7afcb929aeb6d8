"""The messages that wait for an operator, as far as the partial index `messages_stuck` finds them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.database import Sessions, execute
from notifications.statuses import Channel

_PAGE = 1000  # rows


@dataclass(frozen=True, slots=True, kw_only=True)
class StuckFilter:
    """None means any; `since` is when it became stuck at the earliest."""

    provider: str | None = None
    channel: Channel | None = None
    definition: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class StuckMessage:
    notification_id: UUID
    seq: int
    channel: str
    provider: str | None
    definition: str
    stuck_reason: str
    stuck_since: datetime
    expires_at: datetime


async def find_stuck(sessions: Sessions, wanted: StuckFilter) -> AsyncIterator[StuckMessage]:
    """In the order of their keys, a page at a time, so that no transaction stays open while somebody acts on them."""
    after: tuple[UUID, int] | None = None
    while True:
        async with sessions() as session:
            page = await _page(session, wanted, after)
        for message in page:
            yield message
        if len(page) < _PAGE:
            return
        after = page[-1].notification_id, page[-1].seq


async def _page(session: AsyncSession, wanted: StuckFilter, after: tuple[UUID, int] | None) -> list[StuckMessage]:
    parameters: dict[str, Any] = {
        "provider": wanted.provider,
        "channel": wanted.channel,
        "definition": wanted.definition,
        "since": wanted.since,
        "limit": _PAGE,
    }
    statement = _STUCK.format(cursor="AND (origin_id, seq) > (CAST(:origin_id AS uuid), :seq)" if after else "")
    if after is not None:
        parameters |= {"origin_id": after[0], "seq": after[1]}
    return [StuckMessage(*tuple(row)) for row in await execute(session, statement, parameters)]


_STUCK = """
SELECT origin_id, seq, channel, provider, definition, stuck_reason, updated_at, expires_at
FROM messages
WHERE stuck_reason IS NOT NULL AND status = 'pending' AND origin_kind = 'notification' AND expires_at > now() {cursor}
  AND (CAST(:provider AS text) IS NULL OR provider = :provider)
  AND (CAST(:channel AS text) IS NULL OR channel = :channel)
  AND (CAST(:definition AS text) IS NULL OR definition = :definition)
  AND (CAST(:since AS timestamptz) IS NULL OR updated_at >= :since)
ORDER BY origin_id, seq LIMIT :limit
"""
