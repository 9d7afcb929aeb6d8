"""Opaque cursors: a page continues after the last row of the one before, however many rows came since."""

import base64
import json
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from api.problems import BAD_REQUEST, ProblemError

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """Some of a list, and where it goes on."""

    model_config = ConfigDict(json_schema_extra={"description": "Some of a list, and where it goes on."})

    items: list[Item]
    next: str | None = Field(
        None, description="Pass it as `cursor` for the next page; null on the last one.", examples=["WyIyMDI2..."]
    )


Limit = Annotated[int, Query(ge=1, le=200, description="How many items at most.", examples=[50])]
Cursor = Annotated[str | None, Query(max_length=400, description="`next` of the page before.")]


def encode_cursor(*position: object) -> str:
    """A position is the sort key of the page's last row, as text."""
    texts = [part.isoformat() if isinstance(part, datetime) else str(part) for part in position]
    return base64.urlsafe_b64encode(json.dumps(texts, separators=(",", ":")).encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *kinds: Callable[[str], Any]) -> tuple[Any, ...]:
    """The position that `encode_cursor` wrote, each part read by its kind.

    Raises:
        ProblemError: a cursor that was not made by this list.

    """
    try:
        texts = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        return tuple(kind(_text(part)) for kind, part in zip(kinds, texts, strict=True))
    except (ValueError, TypeError, RecursionError):
        detail = "the cursor is not one of this list: leave it out to begin with the first page"
        raise ProblemError(BAD_REQUEST, detail) from None


def _text(part: object) -> str:
    if not isinstance(part, str) or "\x00" in part:
        raise TypeError
    return part


def time_position(text: str) -> datetime:
    """A cursor's time; one without offset was not made here."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    return at
