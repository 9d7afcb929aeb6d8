"""Campaigns in the ledger without the API, with a category and a template of their own."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from notifications.catalogue.definition import Category, ConsentDefault
from notifications.database import Sessions, transaction
from notifications.queries.catalogue import put_category
from notifications.statuses import Channel
from notifications.tables import Campaign, CatalogueVersion

TEMPLATE = "spring-sale"


def category_of(default: str = "opted_in", name: str | None = None) -> Category:
    return Category(name=name or f"offers-{uuid.uuid4().hex[:8]}", title="Offers", default=ConsentDefault(default))


def campaign_row(category: Category, audience: dict[str, Any], **changes: Any) -> Campaign:
    """Launched, and ready to be prepared."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "id": uuid.uuid4(),
        "name": "Spring sale",
        "state": "preparing",
        "type": "promotional",
        "category": category.name,
        "channel": Channel.EMAIL,
        "template": f"{TEMPLATE}-{category.name}",
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
    sessions: Sessions, category: Category, audience: dict[str, Any], *, default_locale: str = "pt", **changes: Any
) -> UUID:
    campaign = campaign_row(category, audience, **changes)
    campaign_id = campaign.id
    async with transaction(sessions) as session:
        await put_category(session, category)
        session.add(
            CatalogueVersion(
                kind="template",
                name=f"{TEMPLATE}-{category.name}",
                version=3,
                content_hash=uuid.uuid4().hex,
                content={"default_locale": default_locale},
            )
        )
        session.add(campaign)
    return campaign_id
