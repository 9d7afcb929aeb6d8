"""A launched campaign with messages of the statuses that a test names."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from notifications.database import Sessions, transaction
from notifications.tables import Message
from tests.support.campaigns import campaign_row


async def insert_with_messages(
    sessions: Sessions, statuses: Sequence[str | tuple[str, str]], messages: Any = None, **changes: Any
) -> UUID:
    """A pair is a status with its reason. `changes` are the campaign's, `messages` gives a message's by its number."""
    campaign = campaign_row(**changes)
    campaign_id = campaign.id
    async with transaction(sessions) as session:
        session.add(campaign)
        session.add_all(
            message_row(campaign_id, seq, status, **(messages(seq) if messages else {}))
            for seq, status in enumerate(statuses, start=1)
        )
    return campaign_id


def message_row(campaign_id: UUID, seq: int, status: str | tuple[str, str], **changes: Any) -> Message:
    now = datetime.now(UTC)
    status, reason = status if isinstance(status, tuple) else (status, None)
    values: dict[str, Any] = {
        "origin_id": campaign_id,
        "seq": seq,
        "origin_kind": "campaign",
        "type": "promotional",
        "category": "offers",
        "channel": "email",
        "definition": "spring-sale",
        "definition_version": 1,
        "recipient_id": f"cus-{seq}",
        "address": f"person{seq}@example.org",
        "locale": "en",
        "duplicates": "at_most_once",
        "retry_for": timedelta(minutes=30),
        "expires_at": now + timedelta(hours=24),
        "status": status,
        "reason": reason,
    }
    return Message(**(values | changes))


async def set_status(sessions: Sessions, campaign_id: UUID, seq: int, status: str) -> None:
    async with transaction(sessions) as session:
        message = await session.get_one(Message, (campaign_id, seq))
        message.status = status
