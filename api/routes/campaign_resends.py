"""One message of a campaign whose outcome is unknown: send it once more, or say what became of it."""

from typing import Annotated
from uuid import UUID

import structlog
from fastapi import APIRouter, Path

from api.collaborators import WorkflowsUnavailableError
from api.context import Context
from api.problems import CONFLICT, INVALID, NOT_FOUND, UNAVAILABLE, ProblemError, problem_responses
from api.routes.campaigns import Who
from api.schemas.campaign_account import CampaignMessageAnswer, SettleRequest
from api.schemas.notifications import RetryRequest
from notifications.campaigns.resends import Resends, ResendState, UnknownMessageError
from notifications.statuses import CampaignState, MessageStatus

log = structlog.get_logger()

router = APIRouter(prefix="/campaigns/{campaign_id}/messages/{seq}", tags=["campaigns"])

Seq = Annotated[int, Path(ge=1, lt=2**63, examples=[17])]


@router.post(
    "/retry",
    summary="Send an unknown message once more",
    description="Only with `accept_duplicate`, of a campaign that has completed, before the message expires. What "
    "failed is sent again by `retry-failed`. Asked for twice it is sent once.",
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID, UNAVAILABLE),
)
async def retry_campaign_message(
    context: Context, campaign_id: UUID, seq: Seq, wanted: RetryRequest
) -> CampaignMessageAnswer:
    resends = Resends(context.sessions)
    state = await _look(resends, campaign_id, seq)
    if not wanted.accept_duplicate:
        raise _refused(state, "only an unknown message is sent on its own, with accept_duplicate: true")
    round_number = await resends.free(campaign_id, seq)
    if round_number is None:
        round_number = _round_left_unstarted(await _look(resends, campaign_id, seq))
    try:
        await context.workflows.resend_of_campaign(campaign_id, seq=seq, round_number=round_number)
    except WorkflowsUnavailableError as error:
        detail = "the message is free to be sent again, but Temporal does not answer: send the same request again"
        raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
    log.info("campaign.resend", campaign_id=str(campaign_id), seq=seq, round=round_number)
    return CampaignMessageAnswer(campaign_id=campaign_id, seq=seq, status=MessageStatus.PENDING, round=round_number)


@router.post(
    "/settle",
    summary="Say what became of an unknown message",
    description="`sent` where it is known to have arrived; `failed` where it did not: `retry-failed` sends it again. "
    "What a provider reports later still counts for more. Asked for twice it changes nothing the second time.",
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID),
)
async def settle_campaign_message(
    context: Context, campaign_id: UUID, seq: Seq, wanted: SettleRequest, asked: Who
) -> CampaignMessageAnswer:
    resends = Resends(context.sessions)
    settled = await resends.settle(campaign_id, seq, MessageStatus(wanted.status))
    state = await _look(resends, campaign_id, seq)
    if not settled and state.status != wanted.status:
        raise _refused(state, "only an unknown message can be settled")
    if settled:
        log.info("campaign.settled", campaign_id=str(campaign_id), seq=seq, status=wanted.status, by=asked.by)
    return CampaignMessageAnswer(campaign_id=campaign_id, seq=seq, status=state.status, round=state.round)


async def _look(resends: Resends, campaign_id: UUID, seq: int) -> ResendState:
    try:
        return await resends.look(campaign_id, seq)
    except UnknownMessageError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None


def _round_left_unstarted(state: ResendState) -> int:
    """The round that an earlier request raised without being able to start its workflow."""
    if state.status is MessageStatus.PENDING and state.round == state.resend_round:
        return state.round
    if state.campaign_state is not CampaignState.COMPLETED:
        raise _refused(state, f"the campaign is {state.campaign_state}: it takes one that is completed")
    raise _refused(state, "accept_duplicate is for a message that is unknown and not expired")


def _refused(state: ResendState, reason: str) -> ProblemError:
    return ProblemError(CONFLICT, f"{reason}; the message is {state.status}", state=state.status.value)
