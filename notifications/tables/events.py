"""What came in: notifications with their plans, kept cancels, and events that could not be accepted."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from notifications.tables.columns import document, required_timestamp, timestamp


class Notification(SQLModel, table=True):
    """One event for one recipient. `id` is `event_uuid(source, event_id)`; the row outlives Temporal's retention.

    `event` holds the CloudEvents attributes and `data` (without the guest block); `guest` the guest block.
    `recipient_ref` is a keyed hash of the recipient, the only trace of them outside Postgres.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        Index("notifications_not_started", "received_at", postgresql_where=text("started_at IS NULL")),
        Index("notifications_waking", "wake_at", postgresql_where=text("finished_at IS NULL")),
        Index("notifications_resending", "resend_at", postgresql_where=text("resend_at IS NOT NULL")),
        Index("notifications_not_tried", "type", "due_at", postgresql_where=text("tried_at IS NULL")),
        Index("notifications_cancelkey", "source", "cancelkey", postgresql_where=text("cancelkey IS NOT NULL")),
        Index("notifications_received", "received_at", "id"),
        Index("notifications_recipient", "recipient_id", "received_at"),
        Index("notifications_event_id", "event_id"),  # `explain` knows only the id
    )

    id: UUID = Field(primary_key=True)
    source: str
    event_id: str
    event_type: str
    type: str  # NotificationType
    definition: str
    definition_version: int
    category: str
    recipient_id: str | None  # None: the event named none, so every message is skipped
    recipient_ref: str
    payload_hash: bytes = Field(sa_type=LargeBinary)
    event: dict[str, Any] = document()
    guest: dict[str, Any] | None = document(nullable=True)
    topic: str
    event_time: datetime | None = timestamp()
    sendat: datetime | None = timestamp()
    expires_at: datetime | None = timestamp()  # from `expirytime`, else set by the plan
    cancelkey: str | None = None
    traceparent: str | None = None
    received_at: datetime = timestamp(default_now=True)
    started_at: datetime | None = timestamp()  # the workflow's start was acknowledged
    due_at: datetime | None = timestamp()  # when the first message may go out; None: not planned, due now
    tried_at: datetime | None = timestamp()  # nothing waits for its first try any more (bounds the bridge)
    cancelled_at: datetime | None = timestamp()  # no message of it is planned or claimed from here on
    status: str = "running"  # NotificationStatus
    finished_at: datetime | None = timestamp()
    wake_at: datetime | None = timestamp()  # when its workflow acts next; long past: reconciliation looks
    resend_at: datetime | None = timestamp()  # an `unknown` message was freed; reconciliation looks until it has ended


class Plan(SQLModel, table=True):
    """What was decided for a notification; a later run of the same version returns this row.

    `profile` is the profile as planned (addresses, locale, attributes), so that a retry renders the same text.
    """

    __tablename__ = "plans"

    notification_id: UUID = Field(primary_key=True, foreign_key="notifications.id", ondelete="CASCADE")
    plan_version: int = Field(primary_key=True)
    plan: dict[str, Any] = document()
    profile: dict[str, Any] = document()
    created_at: datetime = timestamp(default_now=True)


class Cancellation(SQLModel, table=True):
    """A cancel by key: applies to every event of `source` with that key whose time is not later than `time`."""

    __tablename__ = "cancellations"
    __table_args__ = (Index("cancellations_received", "received_at"),)

    source: str = Field(primary_key=True)
    cancelkey: str = Field(primary_key=True)
    time: datetime = required_timestamp()
    received_at: datetime = timestamp(default_now=True)


class RejectedEvent(SQLModel, table=True):
    """A record whose sender has to mend it; the raw bytes are kept, so that nothing is lost."""

    __tablename__ = "rejected_events"
    __table_args__ = (
        UniqueConstraint("topic", "partition", "offset"),  # a redelivered record is rejected once
        Index("rejected_events_source", "source", "event_id"),
        Index("rejected_events_rejected", "rejected_at", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    topic: str
    partition: int
    offset: int = Field(sa_type=BigInteger)
    key: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    value: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    headers: list[Any] = document()  # [[name, base64 or null], ...]
    source: str | None = None  # as far as they could be read, cut to 255 characters
    event_id: str | None = None
    event_type: str | None = None
    reason: str  # a machine word: not_json, unknown_type, wrong_topic, schema, id_reused, ...
    detail: str  # what is wrong and how to mend it
    rejected_at: datetime = timestamp(default_now=True)
    replayed_at: datetime | None = timestamp()  # a mended record that names this one was produced
    replayed_as: str | None = None  # that event's id, settled before it is produced
    replayed_source: str | None = None
    given_up_at: datetime | None = timestamp()  # somebody decided that it will not be replayed
    given_up_by: str | None = None
