"""Conditions over a recipient's profile, as JSON: `{"field": "attributes.plan", "op": "eq", "value": "pro"}`,
and `all`, `any` and `not` of such.

A condition either holds or does not; `not` is the opposite. A field that is missing or null matches nothing but
`{"op": "exists", "value": false}`, and neither does one of another kind than the value that it is compared with.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

MAX_DEPTH = 8  # of all, any and not
MAX_CONDITIONS = 100
MAX_VALUES = 1_000  # of an `in`
MAX_TEXT = 1_000  # characters of a value
MAX_FIELD = 255  # characters
MAX_PATH = 10  # names below `attributes`

TEXT_FIELDS = ("id", "name", "email", "phone", "locale", "timezone")
TIME_FIELDS = ("created_at", "updated_at")
ATTRIBUTES = "attributes."


class Op(StrEnum):
    EQ = "eq"
    NE = "ne"  # has a value, and another one
    LT = "lt"
    LTE = "lte"
    GT = "gt"
    GTE = "gte"
    IN = "in"
    PREFIX = "prefix"
    EXISTS = "exists"

    @property
    def is_comparison(self) -> bool:
        return self in {Op.LT, Op.LTE, Op.GT, Op.GTE}


Scalar = str | bool | int | Decimal


@dataclass(frozen=True, slots=True)
class Now:
    """So long after (before, where it is negative) the moment at which the audience is looked at."""

    offset: timedelta


Value = Scalar | datetime | Now | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Leaf:
    """`path` is one of the profile's fields, or `attributes` and the names below it."""

    path: tuple[str, ...]
    op: Op
    value: Value


@dataclass(frozen=True, slots=True)
class AllOf:
    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: "Condition"


Condition = AllOf | AnyOf | Not | Leaf

_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}(T([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-](0\d|1[0-5]):[0-5]\d))?", re.ASCII
)
_PERIOD = re.compile(
    r"([+-]?)P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,5})M)?(?:(\d{1,5})S)?)?", re.ASCII
)


def parse_condition(document: Any) -> Condition:
    """Check and read a condition.

    Raises:
        ValueError: says where (`filter.all[1].value`) and what to write instead.

    """
    reader = _Reader()
    return reader.condition(document, "filter", 1)


def parse_instant(text: str) -> datetime | None:
    """The time that a date (`2026-11-22`, its beginning in UTC) or a date with time and offset stands for."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        if len(text) == len("2026-11-22"):
            return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # 2026-02-31, or beyond the year 9999 in UTC
        return None


def parse_period(text: str) -> timedelta | None:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds, with a sign: `-P30D`, `PT12H`."""
    found = _PERIOD.fullmatch(text)
    if found is None or not any(found.groups()[1:]):
        return None
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in found.groups()[1:])
    period = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    return -period if found[1] == "-" else period


class _Reader:
    """Reads one document and counts its conditions."""

    def __init__(self) -> None:
        self._conditions = 0

    def condition(self, document: Any, where: str, depth: int) -> Condition:
        if not isinstance(document, Mapping):
            raise _fault(
                where, 'must be an object: {"field", "op", "value"}, {"all": [...]}, {"any": [...]} or {"not"}'
            )
        if depth > MAX_DEPTH:
            raise _fault(where, f"is nested deeper than {MAX_DEPTH}: join inner conditions with `all` or `any`")
        match list(document):
            case ["all"]:
                return AllOf(self._several(document["all"], f"{where}.all", depth))
            case ["any"]:
                return AnyOf(self._several(document["any"], f"{where}.any", depth))
            case ["not"]:
                return Not(self.condition(document["not"], f"{where}.not", depth + 1))
        return self._leaf(document, where)

    def _several(self, documents: Any, where: str, depth: int) -> tuple[Condition, ...]:
        if not isinstance(documents, list) or not documents:
            raise _fault(where, "must be a list of at least one condition")
        return tuple(self.condition(each, f"{where}[{place}]", depth + 1) for place, each in enumerate(documents))

    def _leaf(self, document: Mapping[str, Any], where: str) -> Leaf:
        if set(document) != {"field", "op", "value"}:
            raise _fault(where, "must have exactly `field`, `op` and `value`, or one of `all`, `any` and `not`")
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise _fault(where, f"is one too many: at most {MAX_CONDITIONS} conditions; `in` takes {MAX_VALUES} values")
        try:
            op = Op(document["op"])
        except ValueError:
            raise _fault(f"{where}.op", f"must be one of {', '.join(Op)}") from None
        path = _path(document["field"], f"{where}.field")
        return Leaf(path, op, _value(path, op, document["value"], f"{where}.value"))


def _fault(where: str, what: str) -> ValueError:
    return ValueError(f"{where} {what}")


def _path(field: Any, where: str) -> tuple[str, ...]:
    if isinstance(field, str) and field in {*TEXT_FIELDS, *TIME_FIELDS}:
        return (field,)
    if not isinstance(field, str) or not field.startswith(ATTRIBUTES):
        known = ", ".join((*TEXT_FIELDS, *TIME_FIELDS))
        raise _fault(where, f"must be one of {known}, or `attributes.` and a name")
    names = tuple(field.split("."))
    if not all(names) or len(field) > MAX_FIELD or len(names) > MAX_PATH + 1 or not is_storable(field):
        limits = f"at most {MAX_PATH} names and {MAX_FIELD} characters, none of them empty or NUL"
        raise _fault(where, f"must be `attributes.` and names with dots between: {limits}")
    return names


def _value(path: tuple[str, ...], op: Op, value: Any, where: str) -> Value:
    kind = path[0]
    if op is Op.EXISTS:
        if not isinstance(value, bool):
            raise _fault(where, "must be true or false")
        return value
    if op.is_comparison is not (kind in TIME_FIELDS) and path[1:] == ():
        fitting = "lt, lte, gt, gte" if kind in TIME_FIELDS else "eq, ne, in, prefix"
        raise _fault(where, f"cannot be judged so: {kind} takes {fitting} and exists")
    if op.is_comparison:
        is_number = len(path) > 1 and isinstance(value, int | float) and not isinstance(value, bool)
        return _scalar(value, where) if is_number else _instant(value, where)
    return _values(kind, value, where) if op is Op.IN else _single(kind, op, value, where)


def _values(kind: str, value: Any, where: str) -> tuple[Scalar, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_VALUES:
        raise _fault(where, f"must be a list of 1 to {MAX_VALUES} values")
    return tuple(_plain(kind, each, f"{where}[{place}]") for place, each in enumerate(value))


def _single(kind: str, op: Op, value: Any, where: str) -> Scalar:
    if op is Op.PREFIX and not (isinstance(value, str) and value):
        raise _fault(where, "must be the text that the field begins with")
    return _plain(kind, value, where)


def _plain(kind: str, value: Any, where: str) -> Scalar:
    if kind in TEXT_FIELDS and not isinstance(value, str):
        raise _fault(where, f"must be text, as {kind} is")
    return _scalar(value, where)


def _scalar(value: Any, where: str) -> Scalar:
    if isinstance(value, str):
        if len(value) > MAX_TEXT or not is_storable(value):
            raise _fault(where, f"must have at most {MAX_TEXT} characters, without NUL and unpaired surrogates")
        return value
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 10**18:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return Decimal(repr(value))  # as it is written, which is how attributes are kept
    raise _fault(where, 'must be text, true, false or a number below 10^18; for no value use {"op": "exists"}')


def _instant(value: Any, where: str) -> datetime | Now:
    if isinstance(value, Mapping) and set(value) == {"now"} and isinstance(value["now"], str):
        offset = parse_period(value["now"])
        if offset is not None:
            return Now(offset)
    instant = parse_instant(value) if isinstance(value, str) else None
    if instant is None:
        example = '"2026-11-22", "2026-11-22T10:00:00+01:00" or {"now": "-P30D"}'
        raise _fault(
            where, f"must be a date or a time with its offset, such as {example}; attributes also take numbers"
        )
    return instant


def is_storable(text: str) -> bool:
    """Whether Postgres can keep the text."""
    try:
        text.encode()
    except UnicodeEncodeError:  # an unpaired surrogate
        return False
    return "\x00" not in text
