"""What is written down about the replay of a rejected event. The id is settled before anything is produced."""

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.database import execute
from notifications.tables import RejectedEvent


async def lock_rejected(session: AsyncSession, rejected_id: int) -> RejectedEvent | None:
    """The row, held until the transaction ends, so that two people decide one after the other."""
    return await session.get(RejectedEvent, rejected_id, with_for_update=True)


async def settle_replay(session: AsyncSession, rejected_id: int, source: str, event_id: str) -> None:
    await execute(session, _SETTLE, {"id": rejected_id, "source": source, "event_id": event_id})


async def mark_replayed(session: AsyncSession, rejected_id: int) -> None:
    await execute(session, _MARK, {"id": rejected_id})


async def mark_given_up(session: AsyncSession, rejected_id: int, by: str) -> None:
    await execute(session, _GIVE_UP, {"id": rejected_id, "by": by})


_SETTLE = """
UPDATE rejected_events SET replayed_source = :source, replayed_as = :event_id WHERE id = :id AND replayed_as IS NULL
"""
_MARK = "UPDATE rejected_events SET replayed_at = now() WHERE id = :id AND replayed_at IS NULL"
_GIVE_UP = "UPDATE rejected_events SET given_up_at = now(), given_up_by = :by WHERE id = :id AND given_up_at IS NULL"
