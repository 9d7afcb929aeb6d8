"""Campaigns that are running already, with messages in the ledger."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from notifications.campaigns.snapshot import RANGE_SIZE
from notifications.database import Sessions, execute, execute_alone, transaction
from notifications.statuses import CampaignState
from notifications.tables import Campaign, CampaignRange

_MESSAGES = """
INSERT INTO messages (origin_id, seq, origin_kind, plan_version, step, type, category, channel, definition,
                      definition_version, recipient_id, address, address_ref, locale, consent, duplicates, retry_for,
                      expires_at, status, round, attempt, failures, version, due_at)
SELECT :id, n, 'campaign', 1, 0, 'promotional', :category, 'email', 'spring-sale', 1, :recipient || n,
       'person' || n || '@example.org', sha256(CAST(:recipient || n AS text)::bytea), 'en', 'default', :duplicates,
       interval '30 minutes', now() + interval '1 day', 'pending', 1, 0, 0, 0, now()
FROM generate_series(1, CAST(:count AS bigint)) n
"""


def a_campaign(**changes: Any) -> Campaign:
    """A running one."""
    values: dict[str, Any] = {
        "id": uuid4(),
        "name": "Spring sale",
        "state": CampaignState.RUNNING,
        "type": "promotional",
        "category": "offers",
        "channel": "email",
        "template": "spring-sale",
        "template_version": 1,
        "data": {"discount": "20 %"},
        "audience": {"all": True},
        "duplicates": "at_most_once",
        "retry_for": timedelta(minutes=30),
        "expire_after": timedelta(hours=24),
        "launched_at": datetime.now(UTC),
        "started_at": datetime.now(UTC),
        "created_by": "test",
    }
    return Campaign(**(values | changes))


async def insert_campaign(sessions: Sessions, *, messages: int = 0, **changes: Any) -> UUID:
    """With so many pending messages, and their ranges."""
    campaign = a_campaign(**changes)
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


async def change_campaign(sessions: Sessions, campaign_id: UUID, **changes: Any) -> None:
    async with transaction(sessions) as session:
        campaign = await session.get_one(Campaign, campaign_id)
        for name, value in changes.items():
            setattr(campaign, name, value)
        session.add(campaign)


async def statuses_of(sessions: Sessions, campaign_id: UUID) -> dict[str, int]:
    """Messages by status."""
    counted = "SELECT status, count(*) AS number FROM messages WHERE origin_id = %(id)s GROUP BY status"
    return {row.status: row.number for row in await execute_alone(sessions, counted, {"id": campaign_id})}
