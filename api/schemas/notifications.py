"""Notifications as the API and `explain` show them, made from the ledger's rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.links import Links
from notifications.explanations import LOST_ATTEMPT, explain_attempt, explain_message, explain_notification
from notifications.ids import message_id
from notifications.masking import mask
from notifications.statuses import ACCEPTED, Channel, MessageStatus, NotificationStatus, NotificationType
from notifications.tables import Attempt, Message, Notification

_ID = "a56453a4-7db3-5408-8b23-96f8b4313634"
_ATTEMPT: dict[str, Any] = {
    "attempt": 1,
    "round": 1,
    "provider": "smtp",
    "outcome": "accepted",
    "explanation": "The provider accepted it.",
    "code": None,
    "detail": None,
    "provider_message_id": "<d9b9d648@tidings>",
    "started_at": "2026-11-22T10:15:01Z",
    "finished_at": "2026-11-22T10:15:01.120Z",
}
_MESSAGE: dict[str, Any] = {
    "seq": 1,
    "id": "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac",
    "channel": "email",
    "status": "sent",
    "explanation": "The provider accepted it.",
    "reason": None,
    "stuck_reason": None,
    "address": "j•••@example.org",
    "device_id": None,
    "replaces_seq": None,
    "locale": "en",
    "definition_version": 3,
    "provider": "smtp",
    "provider_message_id": "<d9b9d648@tidings>",
    "round": 1,
    "due_at": "2026-11-22T10:15:00Z",
    "expires_at": "2026-11-25T10:15:00Z",
    "updated_at": "2026-11-22T10:15:01Z",
    "attempts": [_ATTEMPT],
}
_SUMMARY: dict[str, Any] = {
    "id": _ID,
    "source": "https://acme.example/payments",
    "event_id": "pay_8812-succeeded",
    "event_type": "payment.succeeded",
    "type": "transactional",
    "definition": "payment.succeeded",
    "definition_version": 3,
    "category": "payments",
    "recipient": "cus_42",
    "cancelkey": None,
    "status": "done",
    "explanation": "At least one message was accepted, or its answer was lost.",
    "received_at": "2026-11-22T10:15:00Z",
    "due_at": "2026-11-22T10:15:00Z",
    "expires_at": "2026-11-25T10:15:00Z",
    "cancelled_at": None,
    "finished_at": "2026-11-22T10:15:02Z",
    "links": {
        "self": f"http://localhost:8000/v1/notifications/{_ID}",
        "workflow": f"http://localhost:8233/namespaces/default/workflows/notification-{_ID}",
    },
}


class AttemptView(BaseModel):
    """One provider call. `outcome` is `lost` for a number without a record: its answer never came."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ATTEMPT]})

    attempt: int
    round: int | None = Field(description="Raised by an operator's retry; null for a lost one.")
    provider: str | None
    outcome: str = Field(
        description="accepted, transient, unknown, rejected_recipient, rejected_message, rejected_config, "
        "render_error, or lost."
    )
    explanation: str
    code: str | None = Field(description="The provider's code, as a short machine word.")
    detail: str | None
    provider_message_id: str | None
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: Attempt) -> "AttemptView":
        return cls.model_validate(
            {**row.model_dump(), "explanation": explain_attempt(row.outcome)}, from_attributes=False
        )

    @classmethod
    def lost(cls, number: int) -> "AttemptView":
        return cls(
            attempt=number,
            round=None,
            provider=None,
            outcome="lost",
            explanation=LOST_ATTEMPT,
            code=None,
            detail=None,
            provider_message_id=None,
            started_at=None,
            finished_at=None,
        )


class MessageView(BaseModel):
    """One delivery to one address."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MESSAGE]})

    seq: int = Field(description="Its number within the notification.")
    id: UUID = Field(description="UUIDv5(notification id, seq): the idempotency key given to the provider.")
    channel: Channel
    status: MessageStatus
    explanation: str = Field(description="What happened and what to do, in words.")
    reason: str | None
    stuck_reason: str | None = Field(description="Set while it waits for an operator.")
    address: str | None = Field(description="Masked.")
    device_id: str | None
    replaces_seq: int | None = Field(description="The message that a reroute ended in favour of this one.")
    locale: str
    definition_version: int
    provider: str | None
    provider_message_id: str | None
    round: int
    due_at: datetime | None
    expires_at: datetime
    updated_at: datetime
    attempts: list[AttemptView]

    @classmethod
    def of(cls, row: Message, messages: Sequence[Message], attempts: Sequence[Attempt]) -> "MessageView":
        """One of the notification's. A number below its counter without a record is a lost answer, if not in flight."""
        status = MessageStatus(row.status)
        recorded = {attempt.attempt: AttemptView.of(attempt) for attempt in attempts if attempt.seq == row.seq}
        earlier = {other.status for other in messages if other.step < row.step}
        known = row.attempt - 1 if status is MessageStatus.SENDING else row.attempt
        numbers = sorted({*range(1, known + 1), *recorded})
        shown = row.model_dump(include=set(cls.model_fields) - {"address", "attempts", "status"})
        return cls.model_validate(
            shown
            | {
                "id": message_id(row.origin_id, row.seq),
                "status": status,
                "explanation": explain_message(
                    status,
                    row.reason,
                    row.stuck_reason,
                    has_turn=row.due_at is not None,
                    after_accepted=not earlier.isdisjoint({*ACCEPTED, MessageStatus.UNKNOWN}),
                ),
                "address": mask(Channel(row.channel), row.address) if row.address else None,
                "attempts": [recorded.get(number) or AttemptView.lost(number) for number in numbers],
            }
        )


class NotificationLinks(BaseModel):
    """Where to look further."""

    self: str
    workflow: str = Field(description="The workflow in the Temporal UI.")


class NotificationSummary(BaseModel):
    """One event for one recipient."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUMMARY]})

    id: UUID = Field(description="UUIDv5 of the event's source and id: producers can compute it.")
    source: str
    event_id: str
    event_type: str
    type: NotificationType
    definition: str
    definition_version: int
    category: str
    recipient: str | None = Field(description="The recipient's external id; for a guest a keyed hash.")
    cancelkey: str | None
    status: NotificationStatus
    explanation: str
    received_at: datetime
    due_at: datetime | None = Field(description="When the first message may go out; null before planning.")
    expires_at: datetime | None
    cancelled_at: datetime | None
    finished_at: datetime | None
    links: NotificationLinks

    @classmethod
    def fields_of(cls, row: Notification, links: Links) -> dict[str, Any]:
        status = NotificationStatus(row.status)
        shown = row.model_dump(include=set(NotificationSummary.model_fields) - {"explanation", "links", "recipient"})
        return shown | {
            "recipient": row.recipient_id,
            "explanation": explain_notification(status, started=row.started_at is not None),
            "links": {"self": links.notification(row.id), "workflow": links.workflow(row.id)},
        }

    @classmethod
    def of(cls, row: Notification, links: Links) -> "NotificationSummary":
        return cls.model_validate(cls.fields_of(row, links))


class NotificationDetail(NotificationSummary):
    """With every message and every provider call."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_SUMMARY, "messages": [_MESSAGE]}]})

    messages: list[MessageView]

    @classmethod
    def with_messages(
        cls, row: Notification, messages: Sequence[Message], attempts: Sequence[Attempt], links: Links
    ) -> "NotificationDetail":
        views = [MessageView.of(message, messages, attempts) for message in messages]
        return cls.model_validate(cls.fields_of(row, links) | {"messages": views})


class RescheduleRequest(BaseModel):
    """When instead."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"not_before": "2026-12-01T09:00:00+01:00"}]}
    )

    not_before: AwareDatetime = Field(description="RFC 3339 with offset; in the past means now.")


class CancelledMessage(BaseModel):
    """Whether the cancel was in time for one message."""

    seq: int
    answer: str = Field(description="`cancelled`, or `too_late`: its call had begun or it had already ended.")


class CancelAnswer(BaseModel):
    """What the ledger decided, per message."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "notification_id": _ID,
                    "messages": [{"seq": 1, "answer": "too_late"}, {"seq": 2, "answer": "cancelled"}],
                    "explanation": "1 of 2 messages will not be sent.",
                }
            ]
        }
    )

    notification_id: UUID
    messages: list[CancelledMessage] = Field(description="Empty when nothing was planned yet: nothing will be.")
    explanation: str


class RetryRequest(BaseModel):
    """How to retry."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"accept_duplicate": False}]})

    accept_duplicate: bool = Field(
        False, description="Send a message again whose outcome is `unknown`, at the risk of a second copy."
    )


class RerouteRequest(BaseModel):
    """Where to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"channel": "sms"}]})

    channel: Channel = Field(description="Where to send it instead.")


class CommandAnswer(BaseModel):
    """What a command did."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"notification_id": _ID, "seq": 1, "status": "pending", "round": 2}]}
    )

    notification_id: UUID
    seq: int = Field(description="The message that now carries the delivery: a new one after a reroute.")
    status: str
    round: int
