"""An audience as campaigns name one: all, a filter, a saved audience, or some recipients by their ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from notifications.audiences.conditions import Condition, is_storable, parse_condition

MAX_RECIPIENTS = 1_000
_MAX_ID = 255
_KINDS = ("all", "filter", "list", "recipients")


@dataclass(frozen=True, slots=True)
class Everybody:
    """Every recipient there is."""


@dataclass(frozen=True, slots=True)
class Filtered:
    condition: Condition


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved audience: an uploaded list, or a filter."""

    id: UUID


@dataclass(frozen=True, slots=True)
class Named:
    """Recipients by their ids, in order, each once."""

    ids: tuple[str, ...]


Audience = Everybody | Filtered | Saved | Named


def parse_audience(document: Any) -> Audience:
    """Check and read an audience: exactly one of `all`, `filter`, `list` and `recipients`.

    Raises:
        ValueError: says where and what to write instead.

    """
    if not isinstance(document, Mapping) or len(document) != 1 or next(iter(document)) not in _KINDS:
        raise ValueError(
            'an audience is exactly one of {"all": true}, {"filter": {...}}, {"list": "<id of a saved audience>"}'
            ' and {"recipients": ["cus_1", ...]}'
        )
    ((kind, value),) = document.items()
    match kind:
        case "all":
            if value is not True:
                raise ValueError("all must be true")
            return Everybody()
        case "filter":
            return Filtered(parse_condition(value))
        case "list":
            return Saved(_saved_id(value))
        case _:
            return Named(_ids(value))


def checked_id(value: Any, where: str) -> str:
    """A recipient's id as it is kept.

    Raises:
        ValueError: says where and what an id is.

    """
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_ID or not is_storable(value):
        raise ValueError(f"{where} must be a recipient's id: text of 1 to {_MAX_ID} characters, without NUL")
    return value


def _saved_id(value: Any) -> UUID:
    """In the one spelling that we give, so that campaigns can be found by it."""
    try:
        found = UUID(value)
    except (ValueError, TypeError, AttributeError):
        found = None
    if found is None or str(found) != value:
        raise ValueError("list must be the id of a saved audience, as GET /v1/audiences gives it")
    return found


def _ids(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_RECIPIENTS:
        raise ValueError(f"recipients must be a list of 1 to {MAX_RECIPIENTS} ids; more go into an uploaded list")
    return tuple(sorted({checked_id(each, f"recipients[{place}]") for place, each in enumerate(value)}))
