"""Audiences: filters and lists to send campaigns to."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.context import Session
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, time_position
from api.problems import BAD_REQUEST, CONFLICT, INVALID, NOT_FOUND, TOO_LARGE, ProblemError, problem_responses
from api.schemas.audiences import AudienceCount, AudienceQuery, AudienceView, AudienceWrite
from api.streams import body_chunks
from api.texts import Text
from notifications.audiences import store
from notifications.audiences.audience import Audience, Saved, parse_audience
from notifications.audiences.lists import UploadedIds
from notifications.queries import audiences as queries

MAX_LIST = 512 * 2**20  # bytes: about 15 million ids that are UUIDs
_TEXT = "cus_1\ncus_2\n"
_CSV = "customer,city\ncus_1,Lisboa\ncus_2,Porto\n"
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {"schema": {"type": "string"}, "example": _TEXT},
            "text/csv": {"schema": {"type": "string"}, "example": _CSV},
        },
    }
}

router = APIRouter(prefix="/audiences", tags=["audiences"])

AudienceId = Annotated[UUID, Path(description="`id` of a saved audience.")]


@contextmanager
def _problems() -> Iterator[None]:
    """What is wrong with a request, in the words of who found it."""
    try:
        yield
    except store.AudienceInUseError as error:
        raise ProblemError(CONFLICT, str(error)) from None
    except store.UnknownAudienceError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None
    except ValueError as error:
        raise ProblemError(INVALID, str(error)) from None


@router.post("", status_code=201, summary="Save a filter", responses=problem_responses(INVALID))
async def post_audience(session: Session, wanted: AudienceWrite) -> AudienceView:
    with _problems():
        return AudienceView.of(await store.save_filter(session, wanted.name, wanted.filter))


@router.post(
    "/lists",
    status_code=201,
    summary="Upload a list of recipients",
    description="An id a line, or with `column` a CSV file whose first line names its columns. UTF-8, at most 512 MiB.",
    openapi_extra=_BODY,
    responses=problem_responses(INVALID, BAD_REQUEST),
)
async def post_list(
    request: Request,
    session: Session,
    name: Annotated[Text, Query(description="For people to find it by.", examples=["Fair 2026"])],
    column: Annotated[Text | None, Query(description="The column that has the ids.", examples=["customer"])] = None,
) -> AudienceView:
    if column is None and request.headers.get("content-type", "").startswith("text/csv"):
        raise ProblemError(INVALID, "query.column must name the column of the CSV file that has the ids")
    size = 0
    with UploadedIds(column) as ids, _problems():
        async for chunk in body_chunks(request):
            size += len(chunk)
            if size > MAX_LIST:
                raise ProblemError(TOO_LARGE, f"a list has at most {MAX_LIST} bytes", headers={"Connection": "close"})
            ids.feed(chunk)
        ids.feed(b"", end=True)
        return AudienceView.of(await store.save_list(session, name, ids))


@router.post("/count", summary="Count the recipients of an audience", responses=problem_responses(NOT_FOUND, INVALID))
async def count_audience(session: Session, wanted: AudienceQuery) -> AudienceCount:
    with _problems():
        return await _count(session, parse_audience(wanted.audience))


@router.get("", summary="List saved audiences, newest first", responses=problem_responses(BAD_REQUEST, INVALID))
async def list_audiences(session: Session, cursor: Cursor = None, limit: Limit = 50) -> Page[AudienceView]:
    before = decode_cursor(cursor, time_position, UUID) if cursor is not None else None
    rows = await queries.list_audiences(session, before=before, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    items = [AudienceView.of(row) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(last.created_at, last.id) if last else None)


@router.get("/{audience_id}", summary="One saved audience", responses=problem_responses(NOT_FOUND, INVALID))
async def get_audience(session: Session, audience_id: AudienceId) -> AudienceView:
    found = await queries.find_audience(session, audience_id)
    if found is None:
        raise ProblemError(NOT_FOUND, str(store.unknown(audience_id)))
    return AudienceView.of(found)


@router.get("/{audience_id}/count", summary="Count a saved audience", responses=problem_responses(NOT_FOUND, INVALID))
async def count_saved(session: Session, audience_id: AudienceId) -> AudienceCount:
    with _problems():
        return await _count(session, Saved(audience_id))


@router.delete(
    "/{audience_id}",
    status_code=204,
    summary="Delete a saved audience",
    description="Refused while a launched campaign has yet to read it.",
    responses=problem_responses(NOT_FOUND, INVALID, CONFLICT),
)
async def delete_audience(session: Session, audience_id: AudienceId) -> None:
    with _problems():
        await store.delete(session, audience_id)


async def _count(session: AsyncSession, audience: Audience) -> AudienceCount:
    size = await store.size_of(session, await store.source_of(session, audience, datetime.now(UTC)))
    return AudienceCount(recipients=size.named, unknown=size.named - size.known)
