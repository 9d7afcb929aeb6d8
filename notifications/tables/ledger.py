"""The ledger: what was sent, skipped, cancelled or is stuck. Written first; everything else looks here."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, Identity, Index, Interval, LargeBinary, text
from sqlmodel import Field, SQLModel

from notifications.tables.columns import required_timestamp, timestamp


class Message(SQLModel, table=True):
    """One delivery to one address, one occurrence.

    No index contains or depends on status, attempt, due_at or updated_at: such an index halves the rows per second
    and doubles the WAL (HOT updates are lost). Ranges of the key serve instead.

    A try is the pair (`round`, `try_scheduled_at`); only a higher pair takes a row over.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index("messages_stuck", "origin_id", "seq", postgresql_where=text("stuck_reason IS NOT NULL")),
        {
            "postgresql_with": {
                "fillfactor": 55,  # a batch rewrites whole pages twice (docs/adr/0015)
                "autovacuum_vacuum_scale_factor": 0.02,
                "autovacuum_analyze_scale_factor": 0.02,
            }
        },
    )

    origin_id: UUID = Field(primary_key=True)  # a notification or a campaign
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    origin_kind: str = "notification"  # notification | campaign
    plan_version: int = 1
    step: int = 0  # position in the routing; every message of a step belongs to one channel
    type: str  # NotificationType
    category: str
    channel: str  # Channel
    definition: str
    definition_version: int
    recipient_id: str | None
    address: str | None  # None when skipped for want of one
    address_ref: bytes | None = Field(
        default=None, sa_type=LargeBinary, nullable=True
    )  # keyed hash; joins suppressions
    device_id: str | None = None
    replaces_seq: int | None = Field(default=None, sa_type=BigInteger)  # the message that a reroute ended
    locale: str
    consent: str = "required"  # what the plan relied on: required | default | tidings | external
    duplicates: str  # DuplicatePolicy
    retry_for: timedelta = Field(sa_type=Interval)
    not_before: datetime | None = timestamp()
    expires_at: datetime = required_timestamp()

    status: str = "pending"  # MessageStatus
    reason: str | None = None  # SkipReason, error code, ...
    stuck_reason: str | None = None
    round: int = 1  # raised by an operator's retry
    resend_round: int | None = None  # the one that an operator gave an `unknown` message: a resend's workflow has it
    attempt: int = 0  # raised by each claim
    try_scheduled_at: datetime | None = timestamp()
    range_epoch: int = Field(default=0, sa_column_kwargs={"server_default": "0"})  # of the range whose claim holds
    claimed_by: str | None = None  # the process whose claim holds
    claimed_at: datetime | None = timestamp()
    due_at: datetime | None = timestamp()  # None: waits for its turn in a fallback
    budget_since: datetime | None = timestamp()  # the round's first transient error or unknown outcome
    failures: int = 0  # failed tries of this round
    provider: str | None = None
    provider_message_id: str | None = None
    version: int = 0  # counts published outcomes
    created_at: datetime = timestamp(default_now=True)
    updated_at: datetime = timestamp(default_now=True)


class Attempt(SQLModel, table=True):
    """One provider call; insert-only. A number that is missing is a call whose answer was lost."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index(
            "attempts_provider_message",
            "provider_message_id",
            postgresql_where=text("provider_message_id IS NOT NULL"),
        ),
    )

    origin_id: UUID = Field(primary_key=True)
    seq: int = Field(primary_key=True, sa_type=BigInteger)
    attempt: int = Field(primary_key=True)
    round: int
    provider: str
    outcome: str  # AttemptOutcome
    code: str | None = None
    detail: str | None = None
    provider_message_id: str | None = None
    started_at: datetime = required_timestamp()
    finished_at: datetime = required_timestamp()


class OutboxEntry(SQLModel, table=True):
    """A change of a message's status to publish, inserted by the statement that made it.

    The publisher (bridge/outcomes.py) joins the notification and makes the CloudEvent: Postgres has no UUIDv5.
    Rows of one message are in order: their ids are drawn under its row lock. `seq` 0 is a change of a campaign itself,
    under the campaign's row lock; its `attempt` is the round.
    """

    __tablename__ = "outbox"
    __table_args__ = (Index("outbox_unpublished", "id", postgresql_where=text("published_at IS NULL")),)

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=False),))
    origin_id: UUID
    origin_kind: str = "notification"
    seq: int = Field(sa_type=BigInteger)
    version: int
    channel: str
    provider: str | None
    status: str  # MessageStatus, or what became of the campaign; the event's type is `stuck` where `stuck` holds
    stuck: bool = False
    reason: str | None
    attempt: int
    created_at: datetime = timestamp(default_now=True)
    published_at: datetime | None = timestamp()
