"""Saved audiences: filters, and lists of recipients. They never change: a campaign gets whom its dry run saw."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from notifications.tables.columns import document, timestamp


class SavedAudience(SQLModel, table=True):
    """Exactly one of `filter` and `size` is set: the conditions, or how many members a list has."""

    __tablename__ = "audiences"
    __table_args__ = (Index("audiences_created", "created_at", "id"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    filter: dict[str, Any] | None = document(nullable=True)
    size: int | None = Field(default=None, sa_type=BigInteger)
    created_at: datetime = timestamp(default_now=True)


class AudienceMember(SQLModel, table=True):
    """A recipient of a list. It may be unknown; a campaign then records that.

    No foreign key: to look up each of a million takes longer than to insert it. Lists come and go as a whole.
    """

    __tablename__ = "audience_members"

    audience_id: UUID = Field(primary_key=True)
    recipient_id: str = Field(primary_key=True, max_length=255)
