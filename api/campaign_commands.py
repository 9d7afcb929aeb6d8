"""Commands on campaigns: the row first, in one transaction, then its workflow is started or woken."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import UUID

import structlog

from api.collaborators import WorkflowGoneError, WorkflowsUnavailableError
from api.context import ApiContext
from api.problems import CONFLICT, INVALID, NOT_FOUND, UNAVAILABLE, ProblemError
from api.schemas.campaigns import CampaignAccount, CampaignAnswer, CampaignView
from notifications.audiences.audience import parse_audience
from notifications.audiences.store import UnknownAudienceError
from notifications.campaigns.commands import Campaigns
from notifications.campaigns.content_checks import ContentError
from notifications.campaigns.lifecycle import Answer, UnknownCampaignError, WrongStateError
from notifications.campaigns.rounds import NothingFailedError
from notifications.campaigns.targets import DryRun, dry_run
from notifications.database import transaction
from notifications.queries.campaigns import find_campaign
from notifications.statuses import CampaignState, Channel
from notifications.tables import Campaign

WAKE_SECONDS = 1.0  # the row alone decides: nobody waits longer for a workflow to be told

log = structlog.get_logger()

Command = Callable[[Campaigns], Awaitable[Answer]]


async def command(context: ApiContext, wanted: Command) -> CampaignAnswer:
    """Carry it out, and tell the workflow to look again."""
    catalogue = await context.catalogue.current()
    try:
        async with transaction(context.sessions) as session:
            answer = await wanted(Campaigns(session, catalogue, context.settings))
    except UnknownCampaignError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None
    except WrongStateError as error:
        raise ProblemError(CONFLICT, str(error), state=error.state) from None
    except NothingFailedError as error:
        raise ProblemError(CONFLICT, str(error), state=CampaignState.COMPLETED) from None
    except ContentError as error:
        raise ProblemError(INVALID, str(error)) from None
    done = time.monotonic()
    campaign = answer.campaign
    if answer.changed:
        log.info("campaign.command", campaign_id=str(campaign.id), state=campaign.state, epoch=campaign.control_epoch)
    if campaign.launched_at is not None:
        await _tell_workflow(context, campaign)
    return await answer_of(context, campaign, since=done)


async def _tell_workflow(context: ApiContext, campaign: Campaign) -> None:
    """Start it where it may not have begun; the row alone decides, so that a workflow told late sends nothing wrong."""
    state = CampaignState(campaign.state)
    try:
        async with asyncio.timeout(None if state is CampaignState.SCHEDULED else WAKE_SECONDS):
            if state in {CampaignState.SCHEDULED, CampaignState.PREPARING}:
                await context.workflows.start_campaign(campaign.id, campaign.round, campaign.name)
            await context.workflows.wake_campaign(campaign.id, campaign.round)
    except WorkflowGoneError:
        pass
    except (WorkflowsUnavailableError, TimeoutError) as error:
        if state is CampaignState.SCHEDULED:
            detail = "the launch is kept, but Temporal does not answer: send the same request again"
            raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
        log.warning("campaign.not_signalled", campaign_id=str(campaign.id), state=campaign.state)


async def answer_of(context: ApiContext, campaign: Campaign, *, since: float = 0.0) -> CampaignAnswer:
    """The campaign with its account, not older than the campaign's last change and `since` (of `time.monotonic()`).

    A draft has none.
    """
    if campaign.launched_at is None:
        return CampaignAnswer(campaign=CampaignView.of(campaign))
    changed = time.monotonic() - (datetime.now(UTC) - campaign.updated_at).total_seconds()
    account = await context.accounts.of(campaign.id, since=max(since, changed))
    return CampaignAnswer(campaign=CampaignView.of(campaign), account=CampaignAccount.of(account))


async def look_ahead(context: ApiContext, campaign_id: UUID, *, other_channels: bool) -> DryRun:
    """Whom the campaign would reach now; writes nothing."""
    campaign = await require_campaign(context, campaign_id)
    category = (await context.catalogue.current()).categories.get(campaign.category)
    if category is None:
        raise ProblemError(INVALID, f"the category {campaign.category} is not published any more")
    try:
        async with transaction(context.sessions) as session:
            return await dry_run(
                session,
                parse_audience(campaign.audience),
                Channel(campaign.channel),
                category,
                per_second=campaign.per_second,
                other_channels=other_channels,
                now=campaign.starts_at,
            )
    except UnknownAudienceError as error:
        raise ProblemError(INVALID, f"audience: {error}") from None


async def require_campaign(context: ApiContext, campaign_id: UUID) -> Campaign:
    async with context.sessions() as session:
        found = await find_campaign(session, campaign_id)
    if found is None:
        raise ProblemError(NOT_FOUND, f"no campaign {campaign_id}")
    return found
