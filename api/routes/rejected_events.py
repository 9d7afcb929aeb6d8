"""Records whose sender has to mend them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime

from api.context import ApiContext, Context, Session
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, time_position
from api.problems import (
    BAD_REQUEST,
    CONFLICT,
    EVENT_REJECTED,
    INVALID,
    NOT_FOUND,
    UNAVAILABLE,
    ProblemError,
    problem_responses,
)
from api.replays import Replayer, ReplayRefusedError, UnknownRejectedError
from api.schemas.events import RejectedDetail, RejectedView
from api.schemas.replays import GiveUpRequest, ReplayAnswer, ReplayRequest
from api.texts import Text
from bridge.producer import ProduceError
from notifications.events import RejectedError
from notifications.queries import views
from notifications.queries.views import RejectedFilter, RejectedState

log = structlog.get_logger()

router = APIRouter(prefix="/rejected-events", tags=["events"])

RejectedId = Annotated[int, Path(ge=1, lt=2**63, examples=[17])]


def _filter(
    *,
    state: RejectedState | None = None,
    reason: Annotated[Text | None, Query(examples=["unknown_type"])] = None,
    source: Annotated[Text | None, Query(examples=["https://acme.example/payments"])] = None,
    topic: Annotated[Text | None, Query(examples=["transactional.notifications"])] = None,
    since: Annotated[AwareDatetime | None, Query(description="Rejected at or after.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Rejected before.")] = None,
) -> RejectedFilter:
    return RejectedFilter(
        state=state, reason=reason, source=source, topic=topic, rejected_since=since, rejected_until=until
    )


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
async def get_rejected_event(session: Session, rejected_id: RejectedId) -> RejectedDetail:
    row = await views.find_rejected(session, rejected_id)
    if row is None:
        raise ProblemError(NOT_FOUND, f"no rejected event {rejected_id}")
    return RejectedDetail.with_record(row)


@router.post(
    "/{rejected_id}/replay",
    status_code=202,
    summary="Replay a rejected event, mended or as it came",
    description="A new record on the topic of its type, which names the old one in the extension attribute "
    "`replayof`. It is checked first, as `POST /v1/events` does. Repeating the request produces nothing twice.",
    responses=problem_responses(NOT_FOUND, CONFLICT, EVENT_REJECTED, INVALID, UNAVAILABLE),
)
async def replay_rejected_event(
    context: Context, rejected_id: RejectedId, request: ReplayRequest | None = None
) -> ReplayAnswer:
    wanted = request or ReplayRequest()
    with _problems():
        replayed = await _replayer(context).replay(rejected_id, event=wanted.event, patch=wanted.patch)
    log.info("event.replayed", rejected_id=rejected_id, produced=replayed.produced)
    return ReplayAnswer.of(replayed.row, produced=replayed.produced)


@router.post(
    "/{rejected_id}/give-up",
    summary="Decide that a rejected event will not be replayed",
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID),
)
async def give_up_rejected_event(context: Context, rejected_id: RejectedId, request: GiveUpRequest) -> RejectedView:
    with _problems():
        row = await _replayer(context).give_up(rejected_id, by=request.by)
    log.info("event.given_up", rejected_id=rejected_id)
    return RejectedView.of(row)


def _replayer(context: ApiContext) -> Replayer:
    return Replayer(context.sessions, context.catalogue, context.interpreter, context.publisher)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except UnknownRejectedError as error:
        raise ProblemError(NOT_FOUND, str(error)) from None
    except ReplayRefusedError as error:
        raise ProblemError(CONFLICT, str(error)) from None
    except RejectedError as error:
        raise ProblemError(EVENT_REJECTED, error.detail, reason=error.reason.value) from None
    except ProduceError as error:
        detail = "Kafka did not confirm the event: send the same request again"
        raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
