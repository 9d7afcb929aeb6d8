"""Column shorthands: every time is `timestamptz`, every document `jsonb`."""

from typing import Any

from sqlalchemy import DateTime, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field


def timestamp(*, default_now: bool = False) -> Any:
    """A nullable time, or one that Postgres fills."""
    if default_now:
        return Field(
            sa_type=DateTime(timezone=True),
            nullable=False,
            sa_column_kwargs={"server_default": func.now()},
        )
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=True)


def required_timestamp() -> Any:
    return Field(sa_type=DateTime(timezone=True), nullable=False)


def document(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_type=JSONB, nullable=nullable)
