"""Campaigns in the ledger without the API: running ones with messages, and launched ones that are to be prepared."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from notifications.campaigns.snapshot import RANGE_SIZE, Block, Snapshot
from notifications.catalogue.definition import Category, ConsentDefault
from notifications.database import Sessions, execute, execute_alone, transaction
from notifications.queries.catalogue import put_category
from notifications.statuses import CampaignState, Channel
from notifications.tables import Campaign, CampaignRange, CatalogueVersion, Message

TEMPLATE = "spring-sale"
_MESSAGES = """
INSERT INTO messages (origin_id, seq, origin_kind, plan_version, step, type, category, channel, definition,
                      definition_version, recipient_id, address, address_ref, locale, consent, duplicates, retry_for,
                      expires_at, status, round, attempt, failures, version, due_at)
SELECT :id, n, 'campaign', 1, 0, 'promotional', :category, 'email', 'spring-sale', 1, :recipient || n,
       'person' || n || '@example.org', sha256(CAST(:recipient || n AS text)::bytea), 'en', 'default', :duplicates,
       interval '30 minutes', now() + interval '1 day', 'pending', 1, 0, 0, 0, now()
FROM generate_series(1, CAST(:count AS bigint)) n
"""


def campaign_row(**changes: Any) -> Campaign:
    """A running one."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "name": "Spring sale",
        "state": CampaignState.RUNNING,
        "type": "promotional",
        "category": "offers",
        "channel": Channel.EMAIL,
        "template": TEMPLATE,
        "template_version": 1,
        "data": {"discount": "20 %"},
        "audience": {"all": True},
        "duplicates": "at_most_once",
        "retry_for": timedelta(minutes=30),
        "expire_after": timedelta(hours=24),
        "starts_at": now,
        "expires_at": now + timedelta(hours=24),
        "launched_at": now,
        "started_at": now,
        "created_by": "tests",
    }
    return Campaign(**(values | changes))


async def insert_campaign(sessions: Sessions, *, messages: int = 0, **changes: Any) -> UUID:
    """A running one with so many pending messages, and their ranges."""
    campaign = campaign_row(**changes)
    campaign_id = campaign.id
    async with transaction(sessions) as session:
        session.add(campaign)
        await session.flush()
        for first in range(1, messages + 1, RANGE_SIZE):
            session.add(
                CampaignRange(campaign_id=campaign_id, round=1, first_seq=first, last_seq=first + RANGE_SIZE - 1)
            )
        if messages:
            values = {
                "id": campaign_id,
                "count": messages,
                "category": campaign.category,
                "duplicates": campaign.duplicates,
                "recipient": f"cus-{campaign_id.hex[:8]}-",
            }
            await execute(session, _MESSAGES, values)
    return campaign_id


def category_of(default: str = "opted_in", name: str | None = None) -> Category:
    return Category(name=name or f"offers-{uuid.uuid4().hex[:8]}", title="Offers", default=ConsentDefault(default))


async def insert_unprepared(
    sessions: Sessions, kind: Category, audience: dict[str, Any], *, default_locale: str = "pt", **changes: Any
) -> UUID:
    """A launched one, ready to be prepared; its category and its template are published with it."""
    template = {"template": f"{TEMPLATE}-{kind.name}", "template_version": 3}
    launched = {"state": CampaignState.PREPARING, "started_at": None, "data": {}}
    campaign = campaign_row(**({"category": kind.name, "audience": audience} | template | launched | changes))
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


async def change_campaign(sessions: Sessions, campaign_id: UUID, **changes: Any) -> None:
    async with transaction(sessions) as session:
        campaign = await session.get_one(Campaign, campaign_id)
        for name, value in changes.items():
            setattr(campaign, name, value)
        session.add(campaign)


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


async def statuses_of(sessions: Sessions, campaign_id: UUID) -> dict[str, int]:
    """Messages by status."""
    counted = "SELECT status, count(*) AS number FROM messages WHERE origin_id = %(id)s GROUP BY status"
    return {row.status: row.number for row in await execute_alone(sessions, counted, {"id": campaign_id})}


def crowd_of(people: list[str]) -> dict[str, Any]:
    """The condition that exactly the fixture `people` fulfils."""
    return {"field": "attributes.crowd", "op": "eq", "value": people[0].partition("-")[0]}
