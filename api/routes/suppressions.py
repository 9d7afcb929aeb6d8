"""Addresses that must not be used."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api import suppression_list as suppressions
from api.context import Context, Session
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor
from api.problems import BAD_REQUEST, INVALID, NOT_FOUND, problem_responses
from api.schemas.recipients import AddressQuery, SuppressionList, SuppressionView, SuppressionWrite
from api.texts import Text
from notifications.queries import recipients

router = APIRouter(prefix="/suppressions", tags=["suppressions"])


@router.get(
    "",
    summary="List suppressions",
    description="In the order of their ids.",
    responses=problem_responses(BAD_REQUEST, INVALID),
)
async def list_suppressions(session: Session, cursor: Cursor = None, limit: Limit = 50) -> Page[SuppressionView]:
    after = decode_cursor(cursor, bytes.fromhex, str, str) if cursor is not None else None
    rows = await recipients.list_suppressions(session, after=after, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    items = [SuppressionView.of(row) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(last.address_ref.hex(), last.channel, last.scope) if last else None)


@router.post(
    "",
    summary="Suppress an address",
    description="Repeating it changes nothing.",
    responses=problem_responses(INVALID) | {201: {"model": SuppressionView, "description": "Created"}},
)
async def post_suppression(
    context: Context, session: Session, response: Response, wanted: SuppressionWrite
) -> SuppressionView:
    suppression, is_new = await suppressions.add(context, session, wanted)
    response.status_code = 201 if is_new else 200
    return suppression


@router.post("/search", summary="The suppressions of one address", responses=problem_responses(INVALID))
async def search_suppressions(context: Context, session: Session, wanted: AddressQuery) -> SuppressionList:
    return SuppressionList(items=await suppressions.search(context, session, wanted))


@router.delete(
    "/{suppression_id}",
    status_code=204,
    summary="Use an address again",
    responses=problem_responses(NOT_FOUND, INVALID),
)
async def delete_suppression(
    session: Session, suppression_id: Annotated[Text, Path(description="`id` of a suppression.")]
) -> None:
    await suppressions.lift(session, suppression_id)
