"""Records whose sender has to mend them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime

from api.context import Session
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, time_position
from api.problems import BAD_REQUEST, INVALID, NOT_FOUND, ProblemError, problem_responses
from api.schemas.events import RejectedDetail, RejectedView
from api.texts import Text
from notifications.queries import views
from notifications.queries.views import RejectedFilter

router = APIRouter(prefix="/rejected-events", tags=["events"])


def _filter(
    *,
    reason: Annotated[Text | None, Query(examples=["unknown_type"])] = None,
    source: Annotated[Text | None, Query(examples=["https://acme.example/payments"])] = None,
    topic: Annotated[Text | None, Query(examples=["transactional.notifications"])] = None,
    since: Annotated[AwareDatetime | None, Query(description="Rejected at or after.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Rejected before.")] = None,
) -> RejectedFilter:
    return RejectedFilter(reason=reason, source=source, topic=topic, rejected_since=since, rejected_until=until)


@router.get("", summary="List rejected events, newest first", responses=problem_responses(BAD_REQUEST, INVALID))
async def list_rejected_events(
    session: Session,
    wanted: Annotated[RejectedFilter, Depends(_filter)],
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[RejectedView]:
    before = decode_cursor(cursor, time_position, int) if cursor is not None else None
    rows = await views.list_rejected(session, wanted, before=before, limit=limit + 1)
    last = rows[limit - 1] if len(rows) > limit else None
    items = [RejectedView.of(row) for row in rows[:limit]]
    return Page(items=items, next=encode_cursor(last.rejected_at, last.id) if last else None)


@router.get(
    "/{rejected_id}",
    summary="One rejected event with the record as it came",
    responses=problem_responses(NOT_FOUND, INVALID),
)
async def get_rejected_event(session: Session, rejected_id: Annotated[int, Path(ge=1, lt=2**63)]) -> RejectedDetail:
    row = await views.find_rejected(session, rejected_id)
    if row is None:
        raise ProblemError(NOT_FOUND, f"no rejected event {rejected_id}")
    return RejectedDetail.with_record(row)
