"""What is known of each provider account, shared by every worker; and what providers reported."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from notifications.tables.columns import document, required_timestamp, timestamp


class ProviderState(SQLModel, table=True):
    """An operator's pause and the circuit breaker of one provider on one channel; no row means closed and running."""

    __tablename__ = "provider_states"

    provider: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)  # Channel
    paused_at: datetime | None = timestamp()  # the last pause; over once `resumed_at` is set
    resumed_at: datetime | None = timestamp()
    paused_by: str | None = None
    pause_reason: str | None = None
    next_look_at: datetime | None = timestamp()  # when the next of its waiting messages may look again
    failures: int = 0  # in a row, of the kind that opens the breaker
    open_until: datetime | None = timestamp()  # no call before, but for one probe after
    opened_at: datetime | None = timestamp()
    probe_at: datetime | None = timestamp()  # when the half-open breaker let its last probe through
    reason: str | None = None  # the code that opened it
    updated_at: datetime = timestamp(default_now=True)


class ReceiptRecord(SQLModel, table=True):
    """A report of a provider, kept once; one that comes before our own record waits here to be matched.

    A recipient's STOP or START is one too, with `opted_out` or `opted_in` for its status.
    No index but the key begins with the provider: Postgres would take it for the key while the table is small to it,
    and read all of a provider's receipts for each (docs/adr/0020).
    """

    __tablename__ = "receipts"
    __table_args__ = (
        Index("receipts_unmatched", "received_at", postgresql_where=text("matched_at IS NULL")),
        Index("receipts_origin", "origin_id", postgresql_where=text("origin_id IS NOT NULL")),
    )

    provider: str = Field(primary_key=True)
    receipt_id: str = Field(primary_key=True)  # the vendor's own, or a hash of what it said
    provider_message_id: str | None
    origin_id: UUID | None  # from the correlation slot
    seq: int | None = Field(default=None, sa_type=BigInteger, nullable=True)
    attempt: int | None = None
    status: str  # MessageStatus it reports, or ReplyFate
    reason: str | None = None
    details: dict[str, Any] = document()  # the vendor's fields without addresses
    occurred_at: datetime = required_timestamp()
    received_at: datetime = timestamp(default_now=True)
    matched_at: datetime | None = timestamp()
