"""Campaigns: write one, launch it, watch and steer it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Response

from api.campaign_commands import answer_of, command, look_ahead, require_campaign
from api.context import Context, Session
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, time_position
from api.problems import BAD_REQUEST, CONFLICT, INVALID, NOT_FOUND, UNAVAILABLE, problem_responses
from api.schemas.campaigns import (
    CampaignAnswer,
    CampaignRescheduleRequest,
    CampaignView,
    CommandLog,
    CommandView,
    DryRunAnswer,
    LaunchRequest,
    RateRequest,
)
from api.texts import Text
from notifications.campaigns.body import CampaignBody
from notifications.campaigns.lifecycle import Asked
from notifications.queries import campaigns as queries
from notifications.statuses import CampaignState

router = APIRouter(prefix="/campaigns", tags=["campaigns"])

_COMMAND = problem_responses(NOT_FOUND, CONFLICT, INVALID)
_REPEAT = "Asked for twice it changes nothing the second time; 409 names the state that does not allow it."


def _asked(
    idempotency_key: Annotated[
        Text | None, Header(description="The same key again is the same request.", examples=["spring-2027"])
    ] = None,
    tidings_user: Annotated[
        Text | None, Header(description="Who asks, for the audit log; without it, `api`.", examples=["ana"])
    ] = None,
) -> Asked:
    return Asked(by=tidings_user or "api", idempotency_key=idempotency_key)


Who = Annotated[Asked, Depends(_asked)]


@router.post("", status_code=201, summary="Write a campaign", responses=problem_responses(BAD_REQUEST, INVALID))
async def create_campaign(context: Context, body: CampaignBody, asked: Who, response: Response) -> CampaignAnswer:
    answer = await command(context, lambda campaigns: campaigns.create(body, asked))
    response.headers["Location"] = f"/v1/campaigns/{answer.campaign.id}"
    return answer


@router.get("", summary="List campaigns, newest first", responses=problem_responses(BAD_REQUEST, INVALID))
async def list_campaigns(
    session: Session,
    state: Annotated[CampaignState | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[CampaignView]:
    before = decode_cursor(cursor, time_position, UUID) if cursor is not None else None
    rows = await queries.list_campaigns(session, state=state, before=before, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    items = [CampaignView.of(row) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(last.created_at, last.id) if last else None)


@router.get("/{campaign_id}", summary="One campaign with its account", responses=problem_responses(NOT_FOUND, INVALID))
async def get_campaign(context: Context, campaign_id: UUID) -> CampaignAnswer:
    return await answer_of(context, await require_campaign(context, campaign_id))


@router.put("/{campaign_id}", summary="Replace a draft", responses=_COMMAND)
async def update_campaign(context: Context, campaign_id: UUID, body: CampaignBody, asked: Who) -> CampaignAnswer:
    return await command(context, lambda campaigns: campaigns.update(campaign_id, body, asked))


@router.post(
    "/{campaign_id}/dry-run",
    summary="See whom it would reach",
    description="As of now, or as of its start where that is known; nothing is written.",
    responses=problem_responses(NOT_FOUND, INVALID),
)
async def dry_run_campaign(
    context: Context,
    campaign_id: UUID,
    *,
    other_channels: Annotated[
        bool, Query(description="Also what each other channel would reach; takes twice as long.")
    ] = False,
) -> DryRunAnswer:
    return DryRunAnswer.of(await look_ahead(context, campaign_id, other_channels=other_channels))


@router.post(
    "/{campaign_id}/launch",
    status_code=202,
    summary="Start it, now or at a time",
    description="Pins the template's version. Who gets it is written down some minutes before the start. " + _REPEAT,
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID, UNAVAILABLE),
)
async def launch_campaign(
    context: Context, campaign_id: UUID, asked: Who, wanted: LaunchRequest | None = None
) -> CampaignAnswer:
    at = wanted.at if wanted is not None else None
    return await command(context, lambda campaigns: campaigns.launch(campaign_id, asked, at=at))


@router.post(
    "/{campaign_id}/reschedule",
    summary="Move its start, before it is prepared",
    responses=_COMMAND,
)
async def reschedule_campaign(
    context: Context, campaign_id: UUID, wanted: CampaignRescheduleRequest, asked: Who
) -> CampaignAnswer:
    return await command(context, lambda campaigns: campaigns.reschedule(campaign_id, asked, at=wanted.at))


@router.post(
    "/{campaign_id}/pause",
    summary="Pause it",
    description="No provider call begins later than 2 s after the answer; `in_flight` says how many have begun. "
    + _REPEAT,
    responses=_COMMAND,
)
async def pause_campaign(context: Context, campaign_id: UUID, asked: Who) -> CampaignAnswer:
    return await command(context, lambda campaigns: campaigns.pause(campaign_id, asked))


@router.post("/{campaign_id}/resume", summary="Go on after a pause", description=_REPEAT, responses=_COMMAND)
async def resume_campaign(context: Context, campaign_id: UUID, asked: Who) -> CampaignAnswer:
    return await command(context, lambda campaigns: campaigns.resume(campaign_id, asked))


@router.put("/{campaign_id}/rate", summary="Change how fast it goes out", responses=_COMMAND)
async def change_campaign_rate(context: Context, campaign_id: UUID, wanted: RateRequest, asked: Who) -> CampaignAnswer:
    return await command(
        context, lambda campaigns: campaigns.change_rate(campaign_id, asked, per_second=wanted.per_second)
    )


@router.post(
    "/{campaign_id}/cancel",
    summary="Cancel what has not been sent",
    description="From the answer on, what waits counts as cancelled; no provider call begins later than 2 s after it. "
    + _REPEAT,
    responses=_COMMAND,
)
async def cancel_campaign(context: Context, campaign_id: UUID, asked: Who) -> CampaignAnswer:
    return await command(context, lambda campaigns: campaigns.cancel(campaign_id, asked))


@router.post(
    "/{campaign_id}/retry-failed",
    status_code=202,
    summary="Send what failed once more",
    description="A round of its own over the messages that failed; what was accepted, bounced or is `unknown` stays.",
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID, UNAVAILABLE),
)
async def retry_failed(context: Context, campaign_id: UUID, asked: Who) -> CampaignAnswer:
    return await command(context, lambda campaigns: campaigns.retry_failed(campaign_id, asked))


@router.get(
    "/{campaign_id}/commands", summary="Who asked for what, and when", responses=problem_responses(NOT_FOUND, INVALID)
)
async def list_campaign_commands(context: Context, session: Session, campaign_id: UUID) -> CommandLog:
    await require_campaign(context, campaign_id)
    return CommandLog(items=[CommandView.of(row) for row in await queries.commands_of(session, campaign_id)])
