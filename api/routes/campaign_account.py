"""What becomes of a campaign: its progress as it goes, its messages one by one, and all of them as a file."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.campaign_commands import require_campaign
from api.context import Context
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor
from api.problems import BAD_REQUEST, INVALID, NOT_ACCEPTABLE, NOT_FOUND, ProblemError, problem_responses
from api.progress_stream import END, MEDIA_TYPE, has_ended, progress_of, stream
from api.schemas.campaign_account import CampaignMessageView
from api.texts import Text
from notifications.campaigns.messages import Chosen, ExportFormat, block, export
from notifications.statuses import MessageStatus

router = APIRouter(prefix="/campaigns/{campaign_id}", tags=["campaigns"])

_EVENT = 'retry: 2000\n\nevent: progress\nid: progress-1803801612.000\ndata: {"campaign": {...}, "account": {...}}\n\n'
_CSV = "seq,id,recipient_id,device_id,status,reason,...\r\n1,5e0f...,cus_1,,sent,,...\r\n"
_FORMATS = {
    "text/csv": ExportFormat.CSV,
    "text/*": ExportFormat.CSV,
    "*/*": ExportFormat.CSV,
    "application/x-ndjson": ExportFormat.NDJSON,
    "application/ndjson": ExportFormat.NDJSON,
}
_MEDIA_TYPES = {ExportFormat.CSV: "text/csv; charset=utf-8", ExportFormat.NDJSON: "application/x-ndjson"}

Status = Annotated[MessageStatus | None, Query(description="Only those that are so now.")]
Reason = Annotated[Text | None, Query(description="Only with this reason: `opted_out`, or a provider's code.")]
Recipient = Annotated[Text | None, Query(description="Only of this recipient.")]


def _as(media_type: str, example: str) -> dict[str, Any]:
    return {"content": {media_type: {"schema": {"type": "string"}, "example": example}}}


@router.get(
    "/progress",
    summary="Follow it, as Server-Sent Events",
    description="An event `progress` at once and after each change, at most one a second, each with the whole state; "
    "comments in between; `end` when nothing more is sent, and then the stream ends. After that a browser that comes "
    "again by itself is answered 204, so that it stays away.",
    response_class=StreamingResponse,
    responses=problem_responses(NOT_FOUND, INVALID)
    | {
        200: {"description": "Events, whose `data` is a `ProgressView`"} | _as(MEDIA_TYPE, _EVENT),
        204: {"description": "It has ended, and the client has seen it"},
    },
)
async def get_campaign_progress(
    context: Context,
    request: Request,
    campaign_id: UUID,
    last_event_id: Annotated[str | None, Header(description="Sent by browsers that come again.")] = None,
) -> Response:
    if (last_event_id or "").startswith(END) and has_ended(await progress_of(context, campaign_id)):
        return Response(status_code=204)
    return await stream(context, request, campaign_id)


@router.get(
    "/messages",
    summary="Its messages, in the order of their numbers",
    responses=problem_responses(BAD_REQUEST, NOT_FOUND, INVALID),
)
async def list_campaign_messages(
    context: Context,
    campaign_id: UUID,
    *,
    status: Status = None,
    reason: Reason = None,
    recipient: Recipient = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[CampaignMessageView]:
    await require_campaign(context, campaign_id)
    (after,) = decode_cursor(cursor, _number) if cursor is not None else (0,)
    chosen = Chosen(status, reason, recipient)
    rows = await block(context.sessions, campaign_id, chosen, after=after, limit=limit + 1)
    following = encode_cursor(rows[limit - 1].seq) if len(rows) > limit else None
    return Page(items=[CampaignMessageView.of(campaign_id, row) for row in rows[:limit]], next=following)


@router.get(
    "/export",
    summary="All its messages as a file",
    description="CSV or NDJSON, by `format`, else by `Accept`, else CSV. No addresses. Each row is as it was when it "
    "was read: cells of a CSV that a spreadsheet would take for formulas begin with an apostrophe. A file that could "
    "not be written to its end breaks off without the end of the HTTP body.",
    response_class=StreamingResponse,
    responses=problem_responses(NOT_FOUND, NOT_ACCEPTABLE, INVALID)
    | {200: {"description": "A row for each message"} | _as("text/csv", _CSV)},
)
async def export_campaign(
    context: Context,
    campaign_id: UUID,
    *,
    status: Status = None,
    reason: Reason = None,
    recipient: Recipient = None,
    wanted: Annotated[ExportFormat | None, Query(alias="format")] = None,
    accept: Annotated[str, Header()] = "*/*",
) -> StreamingResponse:
    kind = wanted or _accepted(accept)
    await require_campaign(context, campaign_id)
    pieces = export(context.sessions, campaign_id, Chosen(status, reason, recipient), kind)
    headers = {"Content-Disposition": f'attachment; filename="campaign-{campaign_id}.{kind}"', "Vary": "Accept"}
    return StreamingResponse(pieces, media_type=_MEDIA_TYPES[kind], headers=headers)


def _accepted(accept: str) -> ExportFormat:
    """The first that is named and known; browsers name what they like best first."""
    names = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    found = next((_FORMATS[name] for name in names if name in _FORMATS), None)
    if found is None:
        raise ProblemError(
            NOT_ACCEPTABLE, "an export is text/csv or application/x-ndjson (?format=csv, ?format=ndjson)"
        )
    return found


def _number(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError
    return number
