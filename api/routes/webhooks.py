"""Where providers report what became of a message; they prove who they are by a signature, not by our token."""

from datetime import UTC, datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import PlainTextResponse

from api.collaborators import WorkflowGoneError, Workflows, WorkflowsUnavailableError
from api.context import ApiContext, Context
from api.metrics import RECEIPTS
from api.problems import (
    BAD_REQUEST,
    FORGED,
    INTERNAL,
    INVALID,
    NOT_FOUND,
    TOO_LARGE,
    UNAVAILABLE,
    UNSIGNED,
    ProblemError,
    ProblemType,
    problem_responses,
)
from notifications.providers.receipts import (
    ForgedError,
    NotConfiguredError,
    StaleError,
    UnreadableError,
    UnsignedError,
    WebhookError,
    WebhookRequest,
)
from notifications.providers.reporting import ReceiptSource
from notifications.receipts import Receipts, Taken
from notifications.replies import Replies

log = structlog.get_logger()

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

Vendor = Annotated[str, Path(description="A provider by its name in settings.", examples=["twilio", "meta"])]

# TwiML; a text would be sent to the recipient as an answer.
NOTHING_TO_SAY = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'

_REFUSALS: dict[type[WebhookError], tuple[ProblemType, str]] = {
    UnsignedError: (UNSIGNED, "unsigned"),
    ForgedError: (FORGED, "forged"),
    StaleError: (FORGED, "stale"),
    UnreadableError: (BAD_REQUEST, "unreadable"),
    NotConfiguredError: (UNAVAILABLE, "not_configured"),
}


@router.post(
    "/{provider}",
    summary="Take a provider's receipts",
    description="Signed by the vendor, over the bytes as sent. A repeat changes nothing.",
    response_class=PlainTextResponse,
    responses=problem_responses(BAD_REQUEST, UNSIGNED, FORGED, NOT_FOUND, TOO_LARGE, INVALID, INTERNAL, UNAVAILABLE)
    | {200: {"description": "Kept", "content": {"text/plain": {"example": "ok"}}}},
)
async def post_receipts(provider: Vendor, request: Request, context: Context) -> Response:
    source, given = _source(context, provider), await _given(request, context)
    try:
        events = source.parse_receipts(given)
    except WebhookError as error:
        raise _refused(provider, error) from None
    for taken in await Receipts(context.sessions).take(events):
        await conclude(taken, context.workflows)
    return PlainTextResponse("ok")


@router.post(
    "/{provider}/replies",
    summary="Take what recipients write back",
    description="STOP suppresses the number for its channel, START lifts that; anything else changes nothing. Signed "
    "by the vendor; the answer has no message back to the recipient in it.",
    response_class=Response,
    responses=problem_responses(BAD_REQUEST, UNSIGNED, FORGED, NOT_FOUND, TOO_LARGE, INVALID, INTERNAL, UNAVAILABLE)
    | {200: {"description": "Kept", "content": {"text/xml": {"example": NOTHING_TO_SAY}}}},
)
async def post_replies(provider: Vendor, request: Request, context: Context) -> Response:
    source, given = _source(context, provider), await _given(request, context)
    try:
        found = source.parse_replies(given)
    except WebhookError as error:
        raise _refused(provider, error) from None
    for reply in found:
        fate = await Replies(context.sessions, hash_key=context.hash_key).take(reply)
        RECEIPTS.labels(provider, fate).inc()
        log.info("reply.taken", provider=provider, fate=str(fate))
    if not found:
        RECEIPTS.labels(provider, "ignored").inc()
    return Response(NOTHING_TO_SAY, media_type="text/xml")


@router.get(
    "/{provider}",
    summary="Answer a vendor's question whether this address is ours",
    description="Meta asks once, when the webhook is entered there: `hub.mode`, `hub.verify_token`, `hub.challenge`.",
    response_class=PlainTextResponse,
    responses=problem_responses(FORGED, NOT_FOUND, INVALID, UNAVAILABLE)
    | {200: {"description": "The challenge", "content": {"text/plain": {"example": "1158201444"}}}},
)
async def get_challenge(provider: Vendor, request: Request, context: Context) -> Response:
    try:
        answer = _source(context, provider).answer_challenge(dict(request.query_params))
    except WebhookError as error:
        raise _refused(provider, error) from None
    return PlainTextResponse(answer, headers={"X-Content-Type-Options": "nosniff"})


async def conclude(taken: Taken, workflows: Workflows) -> None:
    """Count and log a receipt, and wake whoever waits for a message that it settled."""
    RECEIPTS.labels(taken.event.provider, taken.fate).inc()
    log.info(
        "receipt.taken",
        provider=taken.event.provider,
        status=str(taken.event.status),
        fate=str(taken.fate),
        notification_id=str(taken.origin_id) if taken.origin_id else None,
        seq=taken.seq,
    )
    if taken.settles_a_wait and taken.origin_id is not None:
        try:
            # It says only "look again"; missed, the workflow finds out at its next try or at expiry.
            await workflows.wake(taken.origin_id, "reschedule")
        except (WorkflowGoneError, WorkflowsUnavailableError) as error:
            log.info("receipt.nobody_woken", notification_id=str(taken.origin_id), error=type(error).__name__)


async def _given(request: Request, context: ApiContext) -> WebhookRequest:
    query = request.scope["query_string"].decode("latin-1")
    url = f"{context.settings.public_url.rstrip('/')}{request.url.path}{'?' if query else ''}{query}"
    return WebhookRequest(
        url=url, headers=dict(request.headers), body=await request.body(), received_at=datetime.now(UTC)
    )


def _source(context: ApiContext, provider: str) -> ReceiptSource:
    source = context.receipt_sources.get(provider)
    if source is None:
        raise ProblemError(NOT_FOUND, "no provider of this name reports here, or it has no account in the settings")
    return source


def _refused(provider: str, error: WebhookError) -> ProblemError:
    problem, result = _REFUSALS[type(error)]
    RECEIPTS.labels(provider, result).inc()
    log.warning("receipt.refused", provider=provider, result=result)
    return ProblemError(problem, str(error))
