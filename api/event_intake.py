"""Take an event over HTTP: checked as the bridge checks it, so that a wrong one is refused at once, then produced."""

import json
from uuid import UUID

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from api.context import ApiContext
from api.links import Links
from api.problems import BAD_REQUEST, EVENT_REJECTED, ID_REUSED, TOO_LARGE, UNAVAILABLE, ProblemError
from api.schemas.events import EventAccepted, EventAnswer, EventLinks
from api.schemas.notifications import NotificationDetail
from bridge.producer import ProduceError
from notifications.events import (
    MAX_RECORD_BYTES,
    CloudEvent,
    Intent,
    NewNotification,
    Record,
    RejectedError,
    parse,
    strict_json,
)
from notifications.events.rejection import RejectReason
from notifications.events.topics import topic_for
from notifications.queries import views
from notifications.statuses import NotificationType

log = structlog.get_logger()

HEADERS = (("content-type", b"application/cloudevents+json"),)


async def accept_event(context: ApiContext, body: bytes, idempotency_key: str | None) -> EventAccepted:
    """Answer once the broker has it; sending the same event again is safe."""
    try:
        value = _with_id(body, idempotency_key)
        event = parse(Record(value=value, headers=HEADERS))
        intent = context.interpreter.interpret(event, await context.catalogue.current(), topic=None)
    except RejectedError as error:
        raise _rejected(error) from None
    await _refuse_reused_id(context, event)
    topic, key = topic_of(intent), event.partitionkey or event.recipient
    size = Record(key=key.encode() if key else None, value=value, headers=HEADERS).size
    if size > MAX_RECORD_BYTES:
        raise ProblemError(TOO_LARGE, f"the record would have {size} bytes; at most {MAX_RECORD_BYTES} are taken")
    try:
        partition, offset = await context.publisher.produce(topic, key, value, HEADERS)
    except ProduceError as error:
        detail = "Kafka did not confirm the event: send it again with the same id"
        raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
    log.info("event.produced", notification_id=str(event.notification_id), topic=topic, partition=partition)
    return _accepted(event, topic, partition, offset, context.links)


def _with_id(body: bytes, idempotency_key: str | None) -> bytes:
    """The body as sent, or with the `Idempotency-Key` as its id."""
    document = strict_json.loads(body)
    if not isinstance(document, dict) or document.get("id") is not None:
        return body
    if not idempotency_key:
        raise ProblemError(BAD_REQUEST, "the event has no id: give it one, or send the header Idempotency-Key")
    return json.dumps({**document, "id": idempotency_key}, ensure_ascii=False).encode()


def _rejected(error: RejectedError) -> ProblemError:
    problem = TOO_LARGE if error.reason is RejectReason.TOO_LARGE else EVENT_REJECTED
    return ProblemError(problem, error.detail, reason=error.reason.value)


async def _refuse_reused_id(context: ApiContext, event: CloudEvent) -> None:
    async with context.sessions() as session:
        known = await views.find_notification(session, event.notification_id)
    if known is not None and known.payload_hash != event.payload_hash:
        raise ProblemError(
            ID_REUSED,
            "this source sent another event with the same id before: give this one an id of its own",
            reason=RejectReason.ID_REUSED.value,
        )


def topic_of(intent: Intent) -> str:
    """A cancel is taken on every notification topic."""
    if isinstance(intent, NewNotification):
        return topic_for(intent.definition.type)
    return topic_for(NotificationType.TRANSACTIONAL)


def _accepted(event: CloudEvent, topic: str, partition: int, offset: int, links: Links) -> EventAccepted:
    notification_id: UUID = event.notification_id
    return EventAccepted(
        id=event.id,
        source=event.source,
        notification_id=notification_id,
        topic=topic,
        partition=partition,
        offset=offset,
        links=EventLinks(
            notification=links.notification(notification_id),
            explain=links.event(event.source, event.id),
            workflow=links.workflow(notification_id),
        ),
    )


async def explain_event(session: AsyncSession, source: str, event_id: str, links: Links) -> EventAnswer:
    """What became of one event, in one look-up."""
    row = await views.find_notification_of(session, source, event_id)
    notification = None
    if row is not None:
        messages = await views.messages_of(session, row.id)
        attempts = await views.attempts_of(session, row.id)
        notification = NotificationDetail.with_messages(row, messages, attempts, links)
    return EventAnswer.of(source, event_id, notification, await views.rejections_of(session, event_id, source))
