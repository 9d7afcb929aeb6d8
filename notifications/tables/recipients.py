"""Recipients, what they chose, and addresses that must not be used."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary
from sqlmodel import Field, SQLModel

from notifications.tables.columns import document, required_timestamp, timestamp


class Recipient(SQLModel, table=True):
    """A profile of our own. The refs are filled by whoever writes an address; None with an address: not yet."""

    __tablename__ = "recipients"
    # What an audience's `eq` and `in` ask for is found without reading everybody; the small form of the index.
    __table_args__ = (
        Index(
            "recipients_attributes",
            "attributes",
            postgresql_using="gin",
            postgresql_ops={"attributes": "jsonb_path_ops"},
        ),
    )

    id: str = Field(primary_key=True, max_length=255)  # the producer's own id of the person
    name: str | None = None
    email: str | None = None
    phone: str | None = None  # E.164
    email_ref: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)  # `address_ref` of each, so that
    phone_ref: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)  # campaigns can join suppressions
    locale: str | None = None  # BCP 47
    timezone: str | None = None  # IANA
    attributes: dict[str, Any] = document()
    created_at: datetime = timestamp(default_now=True)
    updated_at: datetime = timestamp(default_now=True)


class Device(SQLModel, table=True):
    """A push target. A token that the provider calls dead is disabled, never silently dropped."""

    __tablename__ = "devices"
    __table_args__ = (Index("devices_token", "token", postgresql_using="hash"),)  # whose was this phone before?

    recipient_id: str = Field(primary_key=True, foreign_key="recipients.id", ondelete="CASCADE")
    id: str = Field(primary_key=True, max_length=255)
    token: str
    token_ref: bytes | None = Field(default=None, sa_type=LargeBinary, nullable=True)
    platform: str  # android | ios | web
    created_at: datetime = timestamp(default_now=True)
    disabled_at: datetime | None = timestamp()
    disabled_reason: str | None = None


class Preference(SQLModel, table=True):
    """A choice made through Tidings (API, unsubscribe); it wins over an external profile service."""

    __tablename__ = "preferences"

    recipient_id: str = Field(primary_key=True, max_length=255)  # may belong to an external service or a guest
    category: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)  # Channel
    opted_in: bool
    source: str  # who said so: api, unsubscribe, import
    time: datetime = required_timestamp()


class Suppression(SQLModel, table=True):
    """An address that must not be used, known only by its keyed hash; `scope` is `all` or a category."""

    __tablename__ = "suppressions"

    address_ref: bytes = Field(primary_key=True, sa_type=LargeBinary)
    channel: str = Field(primary_key=True)  # Channel
    scope: str = Field(primary_key=True, default="all")
    reason: str  # hard_bounce, complaint, opted_out, manual
    source: str  # provider or api
    created_at: datetime = timestamp(default_now=True)
