"""Commands on one message: what an operator does about a stuck delivery."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path

from api import notification_commands as commands
from api.collaborators import CommandName, MessageCommand
from api.context import Context
from api.problems import CONFLICT, INVALID, NO_WORKER, NOT_FOUND, UNAVAILABLE, problem_responses
from api.schemas.notifications import CommandAnswer, RerouteRequest, RetryRequest

router = APIRouter(prefix="/notifications/{notification_id}/messages/{seq}", tags=["messages"])

Seq = Annotated[int, Path(ge=1, lt=2**63, examples=[1])]
_PROBLEMS = problem_responses(NOT_FOUND, CONFLICT, INVALID, NO_WORKER, UNAVAILABLE)


@router.post("/retry", summary="Send a stuck message again, with a new retry budget", responses=_PROBLEMS)
async def retry_message(
    context: Context, notification_id: UUID, seq: Seq, request: RetryRequest | None = None
) -> CommandAnswer:
    accept = request is not None and request.accept_duplicate
    return await commands.retry(context, notification_id, seq, accept_duplicate=accept)


@router.post("/skip", summary="Give up a stuck message", responses=_PROBLEMS)
async def skip_message(context: Context, notification_id: UUID, seq: Seq) -> CommandAnswer:
    return await commands.command(context, notification_id, MessageCommand(CommandName.SKIP, seq))


@router.post("/reroute", summary="Send a stuck message on another channel instead", responses=_PROBLEMS)
async def reroute_message(context: Context, notification_id: UUID, seq: Seq, request: RerouteRequest) -> CommandAnswer:
    wanted = MessageCommand(CommandName.REROUTE, seq, request.channel)
    return await commands.command(context, notification_id, wanted)
