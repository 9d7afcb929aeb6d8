"""Campaigns in the ledger without the API, with a category and a template of their own."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from notifications.campaigns.snapshot import Block, Snapshot
from notifications.catalogue.definition import Category, ConsentDefault
from notifications.database import Sessions, transaction
from notifications.queries.catalogue import put_category
from notifications.statuses import Channel
from notifications.tables import Campaign, CampaignRange, CatalogueVersion, Message

TEMPLATE = "spring-sale"


def category_of(default: str = "opted_in", name: str | None = None) -> Category:
    return Category(name=name or f"offers-{uuid.uuid4().hex[:8]}", title="Offers", default=ConsentDefault(default))


def campaign_row(kind: Category, audience: dict[str, Any], **changes: Any) -> Campaign:
    """Launched, and ready to be prepared."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "name": "Spring sale",
        "state": "preparing",
        "type": "promotional",
        "category": kind.name,
        "channel": Channel.EMAIL,
        "template": f"{TEMPLATE}-{kind.name}",
        "template_version": 3,
        "data": {},
        "audience": audience,
        "duplicates": "at_most_once",
        "retry_for": timedelta(minutes=30),
        "expire_after": timedelta(hours=24),
        "starts_at": now,
        "expires_at": now + timedelta(hours=24),
        "launched_at": now,
        "created_by": "tests",
    }
    return Campaign(**(values | changes))


async def insert_campaign(
    sessions: Sessions, kind: Category, audience: dict[str, Any], *, default_locale: str = "pt", **changes: Any
) -> UUID:
    """Its category and its template are published with it."""
    campaign = campaign_row(kind, audience, **changes)
    campaign_id = campaign.id
    async with transaction(sessions) as session:
        await put_category(session, kind)
        session.add(
            CatalogueVersion(
                kind="template",
                name=f"{TEMPLATE}-{kind.name}",
                version=3,
                content_hash=uuid.uuid4().hex,
                content={"default_locale": default_locale},
            )
        )
        session.add(campaign)
    return campaign_id


async def prepare(snapshot: Snapshot, campaign_id: UUID) -> list[Block]:
    """All its blocks."""
    blocks = [await snapshot.prepare_block(campaign_id)]
    while not blocks[-1].done:
        blocks.append(await snapshot.prepare_block(campaign_id))
    return blocks


async def messages_of(sessions: Sessions, campaign_id: UUID) -> list[Message]:
    async with sessions() as session:
        statement = select(Message).where(Message.origin_id == campaign_id).order_by(col(Message.seq))
        return list(await session.exec(statement))


async def campaign_of(sessions: Sessions, campaign_id: UUID) -> Campaign:
    async with sessions() as session:
        return (await session.exec(select(Campaign).where(Campaign.id == campaign_id))).one()


async def ranges_of(sessions: Sessions, campaign_id: UUID) -> list[tuple[int, int, int, int]]:
    """Round, first and last number, and epoch of each."""
    async with sessions() as session:
        statement = select(CampaignRange).where(CampaignRange.campaign_id == campaign_id)
        found = await session.exec(statement.order_by(col(CampaignRange.first_seq)))
        return [(each.round, each.first_seq, each.last_seq, each.epoch) for each in found]


def crowd_of(people: list[str]) -> dict[str, Any]:
    """The condition that exactly the fixture `people` fulfils."""
    return {"field": "attributes.crowd", "op": "eq", "value": people[0].partition("-")[0]}
