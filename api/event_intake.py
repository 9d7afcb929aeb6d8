"""Take an event over HTTP: checked as the bridge checks it, so that a wrong one is refused at once, then produced."""

import json

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from api.context import ApiContext
from api.links import Links
from api.problems import BAD_REQUEST, EVENT_REJECTED, ID_REUSED, TOO_LARGE, UNAVAILABLE, ProblemError
from api.schemas.campaigns import CampaignView
from api.schemas.events import EventAccepted, EventAnswer, EventLinks
from api.schemas.notifications import NotificationDetail
from bridge.producer import ProduceError
from notifications.campaigns.events import check_launch
from notifications.events import MAX_RECORD_BYTES, CloudEvent, Record, RejectedError, parse, strict_json
from notifications.events.intent import CampaignCancel, CampaignLaunch, Intent, NewNotification
from notifications.events.rejection import RejectReason
from notifications.events.topics import CAMPAIGNS, topic_for
from notifications.ids import event_uuid
from notifications.queries import views
from notifications.queries.campaigns import find_campaign
from notifications.statuses import NotificationType

log = structlog.get_logger()

HEADERS = (("content-type", b"application/cloudevents+json"),)


async def accept_event(context: ApiContext, body: bytes, idempotency_key: str | None) -> EventAccepted:
    """Answer once the broker has it; sending the same event again is safe."""
    try:
        value = _with_id(body, idempotency_key)
        event = parse(Record(value=value, headers=HEADERS))
        catalogue = await context.catalogue.current()
        intent = context.interpreter.interpret(event, catalogue, topic=None)
        await _refuse_reused_id(context, event)
        if isinstance(intent, CampaignLaunch):
            async with context.sessions() as session:
                await check_launch(session, event, catalogue)
    except RejectedError as error:
        raise _rejected(error) from None
    topic, key = route_of(event, intent)
    size = Record(key=key.encode() if key else None, value=value, headers=HEADERS).size
    if size > MAX_RECORD_BYTES:
        raise ProblemError(TOO_LARGE, f"the record would have {size} bytes; at most {MAX_RECORD_BYTES} are taken")
    try:
        partition, offset = await context.publisher.produce(topic, key, value, HEADERS)
    except ProduceError as error:
        detail = "Kafka did not confirm the event: send it again with the same id"
        raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
    log.info("event.produced", notification_id=str(event.notification_id), topic=topic, partition=partition)
    return _accepted(event, intent, (topic, partition, offset), context.links)


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
        known = await views.payload_hash_of(session, event.notification_id)
    if known not in {None, event.payload_hash}:
        raise ProblemError(
            ID_REUSED,
            "this source sent another event with the same id before: give this one an id of its own",
            reason=RejectReason.ID_REUSED.value,
        )


def route_of(event: CloudEvent, intent: Intent) -> tuple[str, str | None]:
    """Topic and key. A cancel is taken on every notification topic; the commands on one campaign stay in order."""
    key = event.partitionkey or event.recipient
    if isinstance(intent, CampaignLaunch | CampaignCancel):
        return CAMPAIGNS, key or str(intent.campaign_id)
    if isinstance(intent, NewNotification):
        return topic_for(intent.definition.type), key
    return topic_for(NotificationType.TRANSACTIONAL), key


def _accepted(event: CloudEvent, intent: Intent, place: tuple[str, int, int], links: Links) -> EventAccepted:
    topic, partition, offset = place
    explain = links.event(event.source, event.id)
    if isinstance(intent, CampaignLaunch | CampaignCancel):
        campaign_id, notification_id = intent.campaign_id, None
        where = EventLinks(campaign=links.campaign(campaign_id), explain=explain)
    else:
        campaign_id, notification_id = None, event.notification_id
        where = EventLinks(
            notification=links.notification(notification_id), explain=explain, workflow=links.workflow(notification_id)
        )
    return EventAccepted(
        id=event.id,
        source=event.source,
        notification_id=notification_id,
        campaign_id=campaign_id,
        topic=topic,
        partition=partition,
        offset=offset,
        links=where,
    )


async def explain_event(session: AsyncSession, source: str, event_id: str, links: Links) -> EventAnswer:
    """What became of one event, in one look-up."""
    row = await views.find_notification_of(session, source, event_id)
    notification = None
    if row is not None:
        messages = await views.messages_of(session, row.id)
        attempts = await views.attempts_of(session, row.id)
        notification = NotificationDetail.with_messages(row, messages, attempts, links)
    launched = await find_campaign(session, event_uuid(source, event_id)) if row is None else None
    campaign = CampaignView.of(launched) if launched is not None else None
    rejections = await views.rejections_of(session, event_id, source)
    return EventAnswer.of(source, event_id, notification or campaign, rejections)
