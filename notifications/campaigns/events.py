"""Campaigns as events launch and cancel them, inside the transaction that stores the batch."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from pydantic import ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.campaigns.body import CampaignBody
from notifications.campaigns.commands import Campaigns
from notifications.campaigns.content_checks import ContentError, Published, check_content
from notifications.campaigns.lifecycle import Asked, UnknownCampaignError, WrongStateError
from notifications.events import CloudEvent, Record, RejectedError, RejectReason
from notifications.events.intent import CampaignCancel, CampaignLaunch
from notifications.events.rejection import show_path
from notifications.queries import campaigns as queries
from notifications.queries.intake_rows import id_reused
from notifications.settings import Settings
from notifications.statuses import CampaignState
from notifications.tables import Campaign, Notification

_MAX_ERRORS = 5

CampaignCommand = CampaignLaunch | CampaignCancel


@dataclass(frozen=True, slots=True)
class TouchedCampaign:
    """Its workflow must run; or, where a command has `ended` the campaign, look again if it does."""

    id: UUID
    round: int
    name: str
    ended: bool


@dataclass(slots=True)
class Touched:
    campaigns: list[TouchedCampaign] = field(default_factory=list)
    rejected: list[tuple[Record, RejectedError]] = field(default_factory=list)


class CampaignEvents:
    """`catalogue` gives the one published now."""

    def __init__(self, catalogue: Callable[[], Awaitable[Published]], settings: Settings) -> None:
        self._catalogue = catalogue
        self._settings = settings

    async def carry_out(self, session: AsyncSession, commands: Sequence[tuple[Record, CampaignCommand]]) -> Touched:
        """Each in a savepoint of its own, launches first, in the order of the campaigns' ids; twice is as once.

        The caller holds a lock of each campaign, so that no other bridge writes the same one meanwhile.
        """
        touched = Touched()
        if not commands:
            return touched
        campaigns = Campaigns(session, await self._catalogue(), self._settings)
        for record, command in sorted(commands, key=_order):
            try:
                async with session.begin_nested():
                    campaign = await _carry_out(campaigns, command)
            except RejectedError as error:
                touched.rejected.append((record, error))
            else:
                touched.campaigns += _touched(campaign)
        return touched


def _order(given: tuple[Record, CampaignCommand]) -> tuple[bool, UUID]:
    return isinstance(given[1], CampaignCancel), given[1].campaign_id


def _touched(campaign: Campaign) -> list[TouchedCampaign]:
    state = CampaignState(campaign.state)
    if state in {CampaignState.COMPLETED, CampaignState.FAILED}:
        return []
    return [TouchedCampaign(campaign.id, campaign.round, campaign.name, ended=state.is_final)]


async def _carry_out(campaigns: Campaigns, command: CampaignCommand) -> Campaign:
    if isinstance(command, CampaignLaunch):
        return await _launch(campaigns, command.event)
    asked = Asked(by=command.event.source)
    try:
        return (await campaigns.cancel(command.campaign_id, asked)).campaign
    except UnknownCampaignError:
        detail = f"no campaign {command.campaign_id}: mend the id, or replay this once the campaign was launched"
        raise RejectedError(RejectReason.UNKNOWN_CAMPAIGN, detail) from None
    except WrongStateError:  # it has ended
        return await campaigns.session.get_one(Campaign, command.campaign_id)


async def _launch(campaigns: Campaigns, event: CloudEvent) -> Campaign:
    """Written and launched at once, and known by its payload from then on."""
    session, campaign_id = campaigns.session, event.notification_id
    known = await queries.find_campaign(session, campaign_id)
    if known is not None:
        if known.payload_hash != event.payload_hash:
            raise id_reused()
        return known
    if await session.get(Notification, campaign_id) is not None:
        raise id_reused()
    asked = Asked(by=event.source)
    try:
        await campaigns.create(_body(event), asked, event=event)
        return (await campaigns.launch(campaign_id, asked, at=event.sendat)).campaign
    except ContentError as error:
        raise RejectedError(RejectReason.SCHEMA, f"data.{error}") from None


async def check_launch(session: AsyncSession, event: CloudEvent, catalogue: Published) -> None:
    """See that what a launch says fits together now; where it is stored, it is looked at again.

    Raises:
        RejectedError: names the field and what to do.

    """
    try:
        await check_content(session, _body(event), catalogue)
    except ContentError as error:
        raise RejectedError(RejectReason.SCHEMA, f"data.{error}") from None


def _body(event: CloudEvent) -> CampaignBody:
    if not isinstance(event.data, dict):
        raise RejectedError(RejectReason.SCHEMA, "data must be an object: the campaign, as for POST /v1/campaigns")
    try:
        return CampaignBody.model_validate(event.data)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        shown = [f"{show_path(['data', *each['loc']])}: {each['msg'].removeprefix('Value error, ')}" for each in wrong]
        more = f"; and {len(shown) - _MAX_ERRORS} more" if len(shown) > _MAX_ERRORS else ""
        raise RejectedError(RejectReason.SCHEMA, "; ".join(shown[:_MAX_ERRORS]) + more) from None
