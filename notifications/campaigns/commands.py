"""Campaigns as people command them, through the API, the command line or an event; each command is one transaction."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.audiences.audience import parse_audience
from notifications.audiences.store import UnknownAudienceError, source_of
from notifications.campaigns import changes
from notifications.campaigns.body import CampaignBody
from notifications.campaigns.content_checks import ContentError, Published, check_content, pin_template
from notifications.campaigns.lifecycle import Answer, Asked, CommandName, UnknownCampaignError, carry_out, note
from notifications.campaigns.rounds import require_failures
from notifications.catalogue.definition import DELIVERY_DEFAULTS, ConsentDefault
from notifications.events import CloudEvent
from notifications.queries import campaigns as queries
from notifications.settings import Settings
from notifications.statuses import CampaignState, NotificationType
from notifications.tables import Campaign


@dataclass(frozen=True, slots=True)
class Campaigns:
    """Commands on campaigns inside the caller's transaction. `catalogue` is the one published now.

    Each raises UnknownCampaignError where there is none, and WrongStateError where its state does not allow it.
    """

    session: AsyncSession
    catalogue: Published
    settings: Settings

    async def create(self, body: CampaignBody, asked: Asked, *, event: CloudEvent | None = None) -> Answer:
        """A draft; the same idempotency key or event again gives the one that is there.

        Raises:
            ContentError: category, template and data do not fit together; says what to do.

        """
        known = await self._known(asked, event)
        if known is not None:
            return Answer(known, changed=False)
        await check_content(self.session, body, self.catalogue)
        campaign = Campaign(id=uuid4(), created_by=asked.by, **self._columns(body))
        if event is not None:
            campaign.id, campaign.payload_hash = event.notification_id, event.payload_hash
            campaign.source, campaign.event_id = event.source, event.id
        self.session.add(campaign)
        await self.session.flush()
        note(self.session, campaign, CommandName.CREATE, asked)
        return Answer(campaign, changed=True)

    async def _known(self, asked: Asked, event: CloudEvent | None) -> Campaign | None:
        if event is not None:
            return await queries.find_campaign(self.session, event.notification_id)
        if asked.idempotency_key is None:
            return None
        return await queries.created_with(self.session, asked.idempotency_key)

    async def update(self, campaign_id: UUID, body: CampaignBody, asked: Asked) -> Answer:
        """Replace a draft.

        Raises:
            ContentError: as for `create`.

        """
        await check_content(self.session, body, self.catalogue)
        change = partial(changes.update, columns=self._columns(body))
        return await carry_out(self.session, campaign_id, CommandName.UPDATE, asked, change)

    async def launch(self, campaign_id: UUID, asked: Asked, *, at: datetime | None = None) -> Answer:
        """Now, or at a time. The template's version of this moment is the campaign's from here on.

        Raises:
            ContentError: what the draft names is not there any more.

        """
        draft = await self._require(campaign_id)
        try:
            await source_of(self.session, parse_audience(draft.audience), at or datetime.now(UTC))
        except UnknownAudienceError as error:
            raise ContentError(f"audience: {error}") from None
        pinned = await pin_template(self.session, draft, self.catalogue)
        change = partial(changes.launch, at=at, template=pinned)
        details = {"at": at.isoformat() if at else None, "template": pinned[0], "version": pinned[1]}
        return await carry_out(self.session, campaign_id, CommandName.LAUNCH, asked, change, details)

    async def reschedule(self, campaign_id: UUID, asked: Asked, *, at: datetime) -> Answer:
        change = partial(changes.reschedule, at=at)
        return await carry_out(self.session, campaign_id, CommandName.RESCHEDULE, asked, change, {"at": at.isoformat()})

    async def pause(self, campaign_id: UUID, asked: Asked) -> Answer:
        return await carry_out(self.session, campaign_id, CommandName.PAUSE, asked, changes.pause)

    async def resume(self, campaign_id: UUID, asked: Asked) -> Answer:
        return await carry_out(self.session, campaign_id, CommandName.RESUME, asked, changes.resume)

    async def change_rate(self, campaign_id: UUID, asked: Asked, *, per_second: float | None) -> Answer:
        change = partial(changes.change_rate, per_second=per_second)
        details = {"per_second": per_second}
        return await carry_out(self.session, campaign_id, CommandName.CHANGE_RATE, asked, change, details)

    async def cancel(self, campaign_id: UUID, asked: Asked) -> Answer:
        return await carry_out(self.session, campaign_id, CommandName.CANCEL, asked, changes.cancel)

    async def retry_failed(self, campaign_id: UUID, asked: Asked) -> Answer:
        """Send what failed once more, as the next round.

        Raises:
            NothingFailedError: nothing has.

        """
        campaign = await self._require(campaign_id)
        if campaign.state == CampaignState.COMPLETED:
            await require_failures(self.session, campaign_id)
        return await carry_out(self.session, campaign_id, CommandName.RETRY_FAILED, asked, changes.next_round)

    async def _require(self, campaign_id: UUID) -> Campaign:
        found = await queries.find_campaign(self.session, campaign_id)
        if found is None:
            raise UnknownCampaignError(f"no campaign {campaign_id}")
        return found

    def _columns(self, body: CampaignBody) -> dict[str, Any]:
        category = self.catalogue.categories[body.category]
        required = category.default is ConsentDefault.REQUIRED
        kind = NotificationType.TRANSACTIONAL if required else NotificationType.PROMOTIONAL
        defaults = DELIVERY_DEFAULTS[kind]
        return {
            "name": body.name,
            "type": kind,
            "category": body.category,
            "channel": body.channel,
            "template": body.template,
            "content": body.content.model_dump(mode="json") if body.content is not None else None,
            "data": body.data,
            "audience": body.audience,
            "per_second": body.rate.per_second if body.rate is not None else None,
            "duplicates": body.duplicates or defaults.duplicates,
            "retry_for": self.settings.capped_retry(body.retry_for or defaults.retry_for),
            "expire_after": body.expire_after or defaults.expire_after,
            "outcomes": body.outcomes,
        }
