"""What a campaign's messages say: its template, pinned by launch, rendered for each recipient."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from notifications.campaigns.lifecycle import UnknownCampaignError, UnknownCategoryError
from notifications.campaigns.ranges import ClaimedMessage
from notifications.catalogue.definition import Category, StandaloneTemplate
from notifications.catalogue.store import CatalogueStore
from notifications.claims import Claim
from notifications.contents import Contents, Rendered
from notifications.database import Sessions, execute_alone
from notifications.providers.base import OutgoingMessage
from notifications.queries.campaign_resends import RECIPIENT
from notifications.queries.campaigns import find_campaign
from notifications.rendering.errors import RenderError
from notifications.rendering.render import RenderContext, Renderer
from notifications.statuses import Channel, NotificationType
from notifications.unsubscribe import LinkTooLongError, MessageLinks, Subject, UnsubscribeLinks, with_headers

_KEPT = 50  # campaigns


@dataclass(frozen=True, slots=True)
class CampaignContent:
    """One campaign's content; nothing of it changes after launch."""

    campaign_id: UUID
    channel: Channel
    category: Category
    template: StandaloneTemplate
    data: Mapping[str, Any]
    renderer: Renderer
    links: UnsubscribeLinks | None  # of a promotional one: by which each recipient can stop it

    def render(self, message: ClaimedMessage) -> OutgoingMessage:
        """The message for one recipient.

        Raises:
            RenderError: the template and the recipient do not fit; names the file and the line.

        """
        recipient = {
            "id": message.recipient_id,
            "name": message.name,
            "locale": message.locale,
            "timezone": message.timezone,
            "attributes": message.attributes or {},
        }
        links = self._links_of(message)
        context = RenderContext(
            data=self.data,
            recipient=recipient,
            locale=message.locale,
            sender=self.category.sender,
            links=links.variables() if links is not None else None,
        )
        content = self.renderer.render(self.template, self.channel, context)
        return OutgoingMessage(
            origin_id=self.campaign_id,
            seq=message.seq,
            attempt=message.attempt,
            channel=self.channel,
            address=message.address or "",
            content=with_headers(content, links) if links is not None else content,
            recipient_name=message.name,
            ttl=message.expires_at - datetime.now(UTC),
        )

    def _links_of(self, message: ClaimedMessage) -> MessageLinks | None:
        if self.links is None:
            return None
        try:
            return self.links.make(Subject(message.recipient_id, self.category.name, self.channel))
        except LinkTooLongError as error:
            raise RenderError(self.template.name, 1, str(error)) from None


class CampaignContents:
    """One per process; keeps the contents of the campaigns it sends."""

    def __init__(
        self, sessions: Sessions, *, catalogue: CatalogueStore, renderer: Renderer, links: UnsubscribeLinks
    ) -> None:
        self._sessions = sessions
        self._catalogue = catalogue
        self._renderer = renderer
        self._links = links
        self._kept: OrderedDict[UUID, CampaignContent] = OrderedDict()

    async def render(self, claim: Claim) -> Rendered:
        """A message that is sent on its own.

        Raises:
            RenderError: the template and the recipient do not fit; names the file and the line.
            UnknownCategoryError: the catalogue was applied without the campaign's category.

        """
        content = await self.load(claim.origin_id)
        rows = await execute_alone(self._sessions, RECIPIENT, {"id": claim.recipient_id})
        name, timezone, attributes = rows[0] if rows else (None, None, None)
        message = ClaimedMessage(
            seq=claim.seq,
            status=claim.status,
            attempt=claim.attempt,
            failures=claim.failures,
            address=claim.address,
            device_id=claim.device_id,
            locale=claim.locale,
            expires_at=claim.expires_at,
            due_at=claim.due_at,
            recipient_id=claim.recipient_id or "",
            name=name,
            timezone=timezone,
            attributes=attributes,
        )
        return Rendered(content.render(message), claim.due_at or datetime.now(UTC))

    async def load(self, campaign_id: UUID) -> CampaignContent:
        """The content of a launched campaign.

        Raises:
            UnknownCampaignError: there is none, or it was never launched.
            UnknownCategoryError: the catalogue was applied without its category.

        """
        if campaign_id in self._kept:
            self._kept.move_to_end(campaign_id)
            return self._kept[campaign_id]
        async with self._sessions() as session:
            campaign = await find_campaign(session, campaign_id)
        if campaign is None or campaign.template is None or campaign.template_version is None:
            raise UnknownCampaignError(str(campaign_id))
        category = (await self._catalogue.current()).categories.get(campaign.category)
        if category is None:
            raise UnknownCategoryError(campaign_id, campaign.category)
        content = CampaignContent(
            campaign_id,
            Channel(campaign.channel),
            category,
            await self._catalogue.template_version(campaign.template, campaign.template_version),
            campaign.data,
            self._renderer,
            self._links if campaign.type == NotificationType.PROMOTIONAL else None,
        )
        self._kept[campaign_id] = content
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return content


class ContentsByOrigin:
    """What a claimed message says, be it a notification's or a campaign's."""

    def __init__(self, notifications: Contents, campaigns: CampaignContents) -> None:
        self._notifications = notifications
        self._campaigns = campaigns

    async def render(self, claim: Claim) -> Rendered:
        if claim.origin_kind == "campaign":
            return await self._campaigns.render(claim)
        return await self._notifications.render(claim)
