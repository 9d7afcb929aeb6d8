"""Campaigns as their commands and workflows read and write them. Nobody here commits."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.tables import Campaign, CampaignCommand


async def lock_campaign(session: AsyncSession, campaign_id: UUID) -> Campaign | None:
    """The row under its lock, which commands and the snapshot take in turns."""
    statement = select(Campaign).where(Campaign.id == campaign_id).with_for_update()
    return (await session.exec(statement.execution_options(populate_existing=True))).one_or_none()


async def find_campaign(session: AsyncSession, campaign_id: UUID) -> Campaign | None:
    return (await session.exec(select(Campaign).where(Campaign.id == campaign_id))).one_or_none()


async def has_command(session: AsyncSession, campaign_id: UUID, command: str, idempotency_key: str) -> bool:
    statement = select(CampaignCommand.id).where(
        CampaignCommand.campaign_id == campaign_id,
        CampaignCommand.idempotency_key == idempotency_key,
        CampaignCommand.command == command,
    )
    return (await session.exec(statement)).first() is not None


async def commands_of(session: AsyncSession, campaign_id: UUID) -> list[CampaignCommand]:
    """The audit log, oldest first."""
    statement = select(CampaignCommand).where(CampaignCommand.campaign_id == campaign_id)
    return list(await session.exec(statement.order_by(col(CampaignCommand.id))))


async def created_with(session: AsyncSession, idempotency_key: str) -> Campaign | None:
    """The campaign that this key made."""
    statement = (
        select(Campaign)
        .join(CampaignCommand, col(CampaignCommand.campaign_id) == col(Campaign.id))
        .where(CampaignCommand.command == "create", CampaignCommand.idempotency_key == idempotency_key)
    )
    return (await session.exec(statement)).first()


async def campaigns_launched_by(session: AsyncSession, event_id: str) -> list[Campaign]:
    """Of every source that used this id for a launch."""
    return list(await session.exec(select(Campaign).where(Campaign.event_id == event_id)))


async def list_campaigns(
    session: AsyncSession, *, state: str | None, before: tuple[datetime, UUID] | None, limit: int
) -> list[Campaign]:
    """A page, newest first; `before` is the position of the last row of the page before."""
    statement = select(Campaign).order_by(col(Campaign.created_at).desc(), col(Campaign.id).desc()).limit(limit)
    if state is not None:
        statement = statement.where(Campaign.state == state)
    if before is not None:
        statement = statement.where(tuple_(col(Campaign.created_at), col(Campaign.id)) < before)
    return list(await session.exec(statement))


async def count_under_way(session: AsyncSession, ended: Collection[str]) -> list[tuple[str, str, str | None, int]]:
    """How many there are of each state, channel and reason of a pause, those that have ended left out."""
    kind = (col(Campaign.state), col(Campaign.channel), col(Campaign.pause_reason))
    statement = select(*kind, func.count()).where(col(Campaign.state).not_in(ended)).group_by(*kind)
    return [(state, channel, reason, count) for state, channel, reason, count in await session.exec(statement)]
