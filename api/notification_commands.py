"""Cancel, reschedule, retry, skip and reroute: the ledger first, then the workflow is told to look again."""

from datetime import UTC, datetime
from uuid import UUID

import structlog

from api.collaborators import (
    CommandName,
    CommandRefusedError,
    MessageCommand,
    NoWorkerError,
    WorkflowGoneError,
    WorkflowsUnavailableError,
)
from api.context import ApiContext
from api.problems import CONFLICT, NO_WORKER, NOT_FOUND, UNAVAILABLE, ProblemError
from api.schemas.notifications import CancelAnswer, CancelledMessage, CommandAnswer
from notifications.database import transaction
from notifications.explanations import explain_message
from notifications.ledger import MessageAnswer
from notifications.queries import views
from notifications.statuses import MessageStatus, NotificationStatus, NotificationType
from notifications.tables import Message, Notification

log = structlog.get_logger()


async def require_notification(context: ApiContext, notification_id: UUID) -> Notification:
    async with context.sessions() as session:
        found = await views.find_notification(session, notification_id)
    if found is None:
        raise ProblemError(NOT_FOUND, f"no notification {notification_id}")
    return found


async def cancel(context: ApiContext, notification_id: UUID) -> CancelAnswer:
    """Idempotent: a second call gives the same answers.

    The ledger alone decides: a workflow that cannot be told now finds the cancel when it wakes, and sends nothing.
    """
    await require_notification(context, notification_id)
    async with transaction(context.sessions) as session:
        answers = (await context.ledger.cancel(session, [notification_id]))[notification_id]
    try:
        await context.workflows.wake(notification_id, "cancel")
    except WorkflowGoneError:
        pass
    except WorkflowsUnavailableError:
        log.warning("api.cancel_not_signalled", notification_id=str(notification_id))
    log.info("notification.cancel", notification_id=str(notification_id), messages=len(answers))
    return CancelAnswer(
        notification_id=notification_id,
        messages=[CancelledMessage(seq=answer.seq, answer=answer.answer) for answer in answers],
        explanation=_cancel_in_words(answers),
    )


def _cancel_in_words(answers: list[MessageAnswer]) -> str:
    if not answers:
        return "Nothing was planned yet, and nothing will be sent."
    cancelled = sum(answer.answer == "cancelled" for answer in answers)
    return f"{cancelled} of {len(answers)} messages will not be sent."


async def reschedule(context: ApiContext, notification_id: UUID, not_before: datetime) -> Notification:
    """Move what has not been tried; a time in the past means now."""
    await require_notification(context, notification_id)
    at = max(not_before, datetime.now(UTC))
    if not await context.ledger.reschedule(notification_id, at):
        row = await require_notification(context, notification_id)
        raise ProblemError(CONFLICT, _why_not_rescheduled(row), state=row.status)
    try:
        await context.workflows.wake(notification_id, "reschedule")
    except WorkflowGoneError:
        pass
    except WorkflowsUnavailableError as error:
        detail = "the new time is kept, but the workflow could not be woken: send the same request again"
        raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
    return await require_notification(context, notification_id)


def _why_not_rescheduled(row: Notification) -> str:
    if row.cancelled_at is not None:
        return "too late: it is cancelled"
    if NotificationStatus(row.status).is_final:
        return f"too late: it has ended as {row.status}"
    return "too late: no message is left that has not been tried"


async def command(context: ApiContext, notification_id: UUID, wanted: MessageCommand) -> CommandAnswer:
    """Have the workflow act on a stuck message, or say why it does not."""
    row = await _require_message(context, notification_id, wanted.seq)
    try:
        outcome = await context.workflows.command(notification_id, wanted)
    except CommandRefusedError as error:
        raise _refused(row, str(error)) from error
    except WorkflowGoneError as error:
        raise _refused(row, "its workflow is not running") from error
    except NoWorkerError as error:
        detail = "the command may still be carried out once a worker runs: look at the notification before repeating it"
        raise ProblemError(NO_WORKER, detail, headers={"Retry-After": "10"}) from error
    except WorkflowsUnavailableError as error:
        raise ProblemError(UNAVAILABLE, "Temporal does not answer", headers={"Retry-After": "5"}) from error
    log.info("message.command", command=wanted.name.value, notification_id=str(notification_id), seq=wanted.seq)
    return CommandAnswer(notification_id=notification_id, seq=outcome.seq, status=outcome.status, round=outcome.round)


async def retry(context: ApiContext, notification_id: UUID, seq: int, *, accept_duplicate: bool) -> CommandAnswer:
    """Retry a stuck message, or send an `unknown` one again where the caller accepts a second copy."""
    if not accept_duplicate:
        return await command(context, notification_id, MessageCommand(CommandName.RETRY, seq))
    row = await _require_message(context, notification_id, seq)
    round_number = await context.ledger.raise_round_for_duplicate(notification_id, seq)
    if round_number is None:
        round_number = _round_left_unstarted(row)
    try:
        await context.workflows.resend(notification_id, NotificationType(row.type), seq=seq, round_number=round_number)
    except WorkflowsUnavailableError as error:
        detail = "the message is free to be sent again, but Temporal does not answer: send the same request again"
        raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
    log.info("message.resend", notification_id=str(notification_id), seq=seq, round=round_number)
    return CommandAnswer(notification_id=notification_id, seq=seq, status=MessageStatus.PENDING, round=round_number)


def _round_left_unstarted(row: Message) -> int:
    """The round that an earlier request raised without being able to start its workflow."""
    if row.status == MessageStatus.PENDING and row.round == row.resend_round:
        return row.round
    raise _refused(row, "accept_duplicate is for a message that is unknown and not expired")


async def _require_message(context: ApiContext, notification_id: UUID, seq: int) -> Message:
    async with context.sessions() as session:
        row = await views.find_message(session, notification_id, seq)
    if row is None:
        raise ProblemError(NOT_FOUND, f"no message {seq} of a notification {notification_id}")
    return row


def _refused(row: Message, reason: str) -> ProblemError:
    status = MessageStatus(row.status)
    words = explain_message(status, row.reason, row.stuck_reason, has_turn=row.due_at is not None)
    return ProblemError(CONFLICT, f"{reason}. {words}", state=status.value, stuck_reason=row.stuck_reason)
