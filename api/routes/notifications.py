"""Notifications: find them, look at one, cancel or move it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime

from api import notification_commands as commands
from api.context import Context, Session
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor, time_position
from api.problems import BAD_REQUEST, CONFLICT, INVALID, NOT_FOUND, UNAVAILABLE, ProblemError, problem_responses
from api.schemas.notifications import CancelAnswer, NotificationDetail, NotificationSummary, RescheduleRequest
from api.texts import Text
from notifications.queries import views
from notifications.queries.views import NotificationFilter
from notifications.statuses import Channel, NotificationStatus, NotificationType

router = APIRouter(prefix="/notifications", tags=["notifications"])


def _filter(
    *,
    type: Annotated[NotificationType | None, Query()] = None,  # noqa: A002 - the name of the query parameter
    status: Annotated[NotificationStatus | None, Query()] = None,
    definition: Annotated[Text | None, Query(examples=["payment.succeeded"])] = None,
    recipient: Annotated[Text | None, Query(description="External id.", examples=["cus_42"])] = None,
    channel: Annotated[Channel | None, Query(description="With a message on this channel.")] = None,
    stuck: Annotated[bool | None, Query(description="With a message that waits for an operator.")] = None,
    since: Annotated[AwareDatetime | None, Query(description="Received at or after.")] = None,
    until: Annotated[AwareDatetime | None, Query(description="Received before.")] = None,
) -> NotificationFilter:
    return NotificationFilter(
        type=type,
        status=status,
        definition=definition,
        recipient=recipient,
        channel=channel,
        stuck=stuck,
        received_since=since,
        received_until=until,
    )


@router.get(
    "",
    summary="List notifications, newest first",
    responses=problem_responses(BAD_REQUEST, INVALID),
)
async def list_notifications(
    context: Context,
    session: Session,
    wanted: Annotated[NotificationFilter, Depends(_filter)],
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[NotificationSummary]:
    before = decode_cursor(cursor, time_position, UUID) if cursor is not None else None
    rows = await views.list_notifications(session, wanted, before=before, limit=limit + 1)
    items = [NotificationSummary.of(row, context.links) for row in rows[:limit]]
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(items=items, next=encode_cursor(last.received_at, last.id) if last else None)


@router.get(
    "/{notification_id}",
    summary="One notification with its messages, every attempt, and why each channel was or was not used",
    responses=problem_responses(NOT_FOUND, INVALID),
)
async def get_notification(context: Context, session: Session, notification_id: UUID) -> NotificationDetail:
    row = await views.find_notification(session, notification_id)
    if row is None:
        raise ProblemError(NOT_FOUND, f"no notification {notification_id}")
    messages = await views.messages_of(session, notification_id)
    attempts = await views.attempts_of(session, notification_id)
    return NotificationDetail.with_messages(row, messages, attempts, context.links)


@router.post(
    "/{notification_id}/cancel",
    summary="Cancel what has not been sent",
    description="The answer says for each message whether it was in time. Repeating it gives the same answers.",
    responses=problem_responses(NOT_FOUND, INVALID),
)
async def cancel_notification(context: Context, notification_id: UUID) -> CancelAnswer:
    return await commands.cancel(context, notification_id)


@router.post(
    "/{notification_id}/reschedule",
    summary="Move what has not been tried to another time",
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID, UNAVAILABLE),
)
async def reschedule_notification(
    context: Context, notification_id: UUID, request: RescheduleRequest
) -> NotificationSummary:
    row = await commands.reschedule(context, notification_id, request.not_before)
    return NotificationSummary.of(row, context.links)
