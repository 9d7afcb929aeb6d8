"""Campaigns: what a marketer asked for, how far it is, and what became of its messages.

The row of a campaign is the truth about its state; workflows read it again whenever they wake.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Interval, UniqueConstraint
from sqlmodel import Field, SQLModel

from notifications.tables.columns import document, required_timestamp, timestamp


class Campaign(SQLModel, table=True):
    """One template to one audience on one channel. Its messages have its `id` as their origin.

    `control_epoch` is raised by every command that changes what may be sent; `version` counts published outcomes.
    """

    __tablename__ = "campaigns"
    __table_args__ = (Index("campaigns_created", "created_at", "id"),)

    id: UUID = Field(primary_key=True)
    name: str
    state: str = "draft"  # CampaignState
    round: int = 1  # raised by retry-failed
    control_epoch: int = 0
    version: int = 0
    type: str  # NotificationType
    category: str
    channel: str  # Channel
    template: str | None = None  # a published template; None: `content`
    template_version: int | None = None  # pinned by launch
    content: dict[str, Any] | None = document(nullable=True)  # an inline template, published by launch
    data: dict[str, Any] = document()
    audience: dict[str, Any] = document()
    per_second: float | None = None  # None: as fast as providers allow
    duplicates: str  # DuplicatePolicy
    retry_for: timedelta = Field(sa_type=Interval)
    expire_after: timedelta = Field(sa_type=Interval)
    outcomes: str = "campaign"  # all: an outcome per message as well

    starts_at: datetime | None = timestamp()
    expires_at: datetime | None = timestamp()  # of its messages; set by launch
    prepared_to: str | None = None  # the cursor of the snapshot (a recipient's id) or of a later round (a number)
    prepared_at: datetime | None = timestamp()
    recipients: int = Field(default=0, sa_type=BigInteger)  # distinct ones with a message, as far as it is prepared
    launched_at: datetime | None = timestamp()
    started_at: datetime | None = timestamp()
    paused_at: datetime | None = timestamp()
    pause_reason: str | None = None  # a code; None: somebody paused it
    cancelled_at: datetime | None = timestamp()  # from here on its pending messages count as cancelled
    finished_at: datetime | None = timestamp()
    resend_at: datetime | None = timestamp()  # when an `unknown` message of it was last freed to be sent once more

    source: str | None = None  # of the event that launched it
    event_id: str | None = None
    payload_hash: bytes | None = None
    created_by: str
    created_at: datetime = timestamp(default_now=True)
    updated_at: datetime = timestamp(default_now=True)


class CampaignRange(SQLModel, table=True):
    """Messages `first_seq` to `last_seq` of a campaign, sent by one activity at a time.

    `epoch` is raised by each try; a claim with an older one gets nothing.
    """

    __tablename__ = "campaign_ranges"
    __table_args__ = ({"postgresql_with": {"fillfactor": 70}},)

    campaign_id: UUID = Field(primary_key=True, foreign_key="campaigns.id", ondelete="CASCADE")
    round: int = Field(primary_key=True)
    first_seq: int = Field(primary_key=True, sa_type=BigInteger)
    last_seq: int = Field(sa_type=BigInteger)
    epoch: int = 0
    finished_at: datetime | None = timestamp()  # nothing of it waits to be sent


class CampaignCommand(SQLModel, table=True):
    """Who asked for what and when: the audit log of a campaign, and what makes commands idempotent."""

    __tablename__ = "campaign_commands"
    __table_args__ = (
        UniqueConstraint("campaign_id", "idempotency_key"),
        Index("campaign_commands_campaign", "campaign_id", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    campaign_id: UUID = Field(foreign_key="campaigns.id", ondelete="CASCADE")
    command: str  # CampaignCommandName
    by: str
    at: datetime = timestamp(default_now=True)
    from_state: str
    to_state: str
    details: dict[str, Any] = document()
    idempotency_key: str | None = None


class RateLimit(SQLModel, table=True):
    """A GCRA per campaign and per provider: the theoretical arrival time of the next call."""

    __tablename__ = "rate_limits"
    __table_args__ = ({"postgresql_with": {"fillfactor": 50}},)

    key: str = Field(primary_key=True)  # campaign:<id> | provider:<name>
    arrival_at: datetime = required_timestamp()
