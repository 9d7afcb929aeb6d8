"""What a campaign's messages say: links to stop it where it is promotional, none where its category is required."""

import uuid
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifications.campaigns.contents import CampaignContents
from notifications.campaigns.lifecycle import UnknownCategoryError
from notifications.campaigns.ranges import ClaimedMessage
from notifications.catalogue.definition import Category, ConsentDefault
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, transaction
from notifications.providers.base import EmailContent
from notifications.queries.catalogue import delete_category, put_category
from notifications.rendering.errors import RenderError
from notifications.rendering.render import Renderer
from notifications.statuses import Channel, NotificationType
from notifications.tables import CatalogueVersion
from notifications.unsubscribe import Subject
from tests.support.campaigns import category_of, insert_campaign
from tests.support.integration import LINKS

RECALL = "The brakes of your bicycle are to be checked, {{ recipient.id }}."
WITH_A_LINK = "Stop: {{ links.unsubscribe }}"


def contents_of(sessions: Sessions) -> CampaignContents:
    """Of a worker that begins now."""
    return CampaignContents(sessions, catalogue=CatalogueStore(sessions), renderer=Renderer(), links=LINKS)


async def campaign_of(sessions: Sessions, category: Category, text: str = RECALL) -> UUID:
    """With its own template; its type is what launch makes of the category."""
    template = f"recall-{uuid.uuid4().hex[:8]}"
    required = category.default is ConsentDefault.REQUIRED
    content = {
        "name": template,
        "default_locale": "en",
        "data": {"type": "object"},
        "templates": {"email": {"en": {"subject": "Safety recall", "text": text}}},
    }
    async with transaction(sessions) as session:
        await put_category(session, category)
        session.add(
            CatalogueVersion(kind="template", name=template, version=1, content_hash=uuid.uuid4().hex, content=content)
        )
    return await insert_campaign(
        sessions,
        category=category.name,
        template=template,
        type=NotificationType.TRANSACTIONAL if required else NotificationType.PROMOTIONAL,
    )


def message_to(recipient_id: str) -> ClaimedMessage:
    now = datetime.now(UTC)
    return ClaimedMessage(
        seq=1,
        status="sending",
        attempt=1,
        failures=0,
        address=f"{recipient_id}@example.org",
        device_id=None,
        locale="en",
        expires_at=now + timedelta(hours=1),
        due_at=now,
        recipient_id=recipient_id,
        name=None,
        timezone=None,
        attributes=None,
    )


async def rendered(sessions: Sessions, campaign_id: UUID) -> EmailContent:
    content = (await contents_of(sessions).load(campaign_id)).render(message_to("cus-1")).content
    assert isinstance(content, EmailContent)
    return content


async def test_a_promotional_one_can_be_stopped_by_one_click(sessions: Sessions):
    category = category_of("opted_in")
    content = await rendered(sessions, await campaign_of(sessions, category, WITH_A_LINK))
    links = LINKS.make(Subject("cus-1", category.name, Channel.EMAIL))
    assert content.text == f"Stop: {links.unsubscribe}"
    assert content.headers.keys() == {"List-Unsubscribe", "List-Unsubscribe-Post"}


async def test_one_of_a_required_category_offers_no_way_out(sessions: Sessions):
    content = await rendered(sessions, await campaign_of(sessions, category_of("required")))
    assert content.text == "The brakes of your bicycle are to be checked, cus-1."
    assert not content.headers


async def test_one_of_a_required_category_must_not_promise_a_way_out(sessions: Sessions):
    campaign = await campaign_of(sessions, category_of("required"), WITH_A_LINK)
    with pytest.raises(RenderError, match="only promotional messages can be unsubscribed from"):
        await rendered(sessions, campaign)


async def test_without_its_category_nothing_is_said_until_it_is_back(sessions: Sessions):
    """Taken for a required one, it would go out without a way to stop it."""
    category = category_of("opted_in")
    campaign = await campaign_of(sessions, category)
    async with transaction(sessions) as session:
        await delete_category(session, category.name)
    with pytest.raises(UnknownCategoryError, match=f"'{category.name}' of the campaign {campaign}.*put it back"):
        await rendered(sessions, campaign)
    async with transaction(sessions) as session:
        await put_category(session, category)
    assert (await rendered(sessions, campaign)).headers
