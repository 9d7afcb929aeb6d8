"""Saved audiences. Nobody here commits."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, tuple_
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.database import execute
from notifications.statuses import CampaignState
from notifications.tables import AudienceMember, Campaign, SavedAudience

# Campaigns that have yet to write down whom they reach.
_UNPREPARED = (CampaignState.SCHEDULED, CampaignState.PREPARING, CampaignState.PAUSED)

# A list of millions takes longer than anything else does.
_STAGE = """
SET LOCAL statement_timeout = '5min';
SET LOCAL work_mem = '64MB';
CREATE TEMPORARY TABLE uploaded_ids (id text NOT NULL) ON COMMIT DROP
"""
_KEEP = """
INSERT INTO audience_members (audience_id, recipient_id)
SELECT DISTINCT CAST(:id AS uuid), id FROM uploaded_ids ORDER BY id
"""
# The dry run of a list that nobody has analysed would look up each member by itself.
_ANALYZE = "ANALYZE (SKIP_LOCKED) audience_members"


async def insert_members(session: AsyncSession, audience_id: UUID, pieces: Iterable[bytes]) -> int:
    """How many there are, each once; `pieces` are of a text for COPY, an id a line."""
    driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
    async with driver.cursor() as cursor:
        await cursor.execute(_STAGE)
        async with cursor.copy("COPY uploaded_ids (id) FROM STDIN") as copy:
            for piece in pieces:
                await copy.write(piece)
    kept = (await execute(session, _KEEP, {"id": audience_id})).rowcount
    await execute(session, _ANALYZE)
    return kept


async def find_audience(session: AsyncSession, audience_id: UUID, *, for_use: bool = False) -> SavedAudience | None:
    """`for_use`: it cannot be deleted until the transaction ends."""
    statement = select(SavedAudience).where(SavedAudience.id == audience_id)
    if for_use:
        statement = statement.with_for_update(read=True, key_share=True)
    return (await session.exec(statement)).one_or_none()


async def list_audiences(
    session: AsyncSession, *, before: tuple[datetime, UUID] | None = None, limit: int = 50
) -> list[SavedAudience]:
    """A page, newest first; `before` is (created_at, id) of the last one of the page before."""
    key = (col(SavedAudience.created_at), col(SavedAudience.id))
    statement = select(SavedAudience).order_by(*(part.desc() for part in key)).limit(limit)
    if before is not None:
        statement = statement.where(tuple_(*key) < tuple_(*before))
    return list(await session.exec(statement))


async def lock_audience(session: AsyncSession, audience_id: UUID) -> bool:
    """Whether there is one; nobody can begin to use it until the transaction ends."""
    statement = select(SavedAudience.id).where(SavedAudience.id == audience_id).with_for_update()
    return (await session.exec(statement)).first() is not None


async def campaign_in_need(session: AsyncSession, audience_id: UUID) -> UUID | None:
    """A launched campaign that has yet to read this audience."""
    statement = select(Campaign.id).where(
        func.jsonb_extract_path_text(Campaign.audience, "list") == str(audience_id),
        col(Campaign.state).in_(_UNPREPARED),
        col(Campaign.prepared_at).is_(None),
    )
    return (await session.exec(statement.limit(1))).first()


async def delete_audience(session: AsyncSession, audience_id: UUID) -> None:
    await session.exec(delete(AudienceMember).where(col(AudienceMember.audience_id) == audience_id))
    await session.exec(delete(SavedAudience).where(col(SavedAudience.id) == audience_id))
