"""The context attributes of CloudEvents, and those Tidings gives a meaning (docs/contracts: "Events in")."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from notifications.events.rejection import RejectedError, RejectReason, show_name
from notifications.events.strict_json import text_problem

MAX_LENGTH = 255  # characters
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)  # timers are int64 nanoseconds: 292 years

_REQUIRED = ("specversion", "id", "source", "type")
_LIMITED = ("id", "source", "type", "recipient", "cancelkey")
_TEXTS = frozenset({*_REQUIRED, *_LIMITED, "time", "sendat", "expirytime", "subject", "partitionkey", "traceparent"})
_NAME = re.compile(r"[a-z0-9]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}):(\d{2})(?:\.(\d+))?([Zz]|[+-]\d{2}:\d{2})?", re.ASCII)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)

Attributes = dict[str, str | int | float | bool]


def check_attributes(given: Mapping[str, Any]) -> Attributes:
    """The attributes that are set (null is absent), each with a value that it may have.

    Raises:
        RejectedError: missing, over-long, of another type, or with characters that no attribute may hold.

    """
    attributes = {name: _checked(name, value) for name, value in given.items() if value is not None}
    missing = [name for name in _REQUIRED if name not in attributes]
    if missing:
        raise RejectedError(RejectReason.MISSING_ATTRIBUTE, f"the attribute {' and '.join(missing)} is missing")
    if attributes["specversion"] != "1.0":
        raise RejectedError(RejectReason.NOT_CLOUDEVENT, 'specversion must be "1.0"')
    for name in _LIMITED:
        value = attributes.get(name)
        if isinstance(value, str) and not 0 < len(value) <= MAX_LENGTH:
            wrong = f"is longer than {MAX_LENGTH} characters" if value else "is empty"
            raise RejectedError(RejectReason.BAD_ATTRIBUTE, f"the attribute {name} {wrong}")
    return attributes


def _checked(name: str, value: Any) -> str | int | float | bool:
    if not _NAME.fullmatch(name):
        raise RejectedError(
            RejectReason.BAD_ATTRIBUTE,
            f"{show_name(name)} is no attribute name (lower-case letters and digits): move it into data",
        )
    if isinstance(value, str):
        if text_problem(value) or _CONTROL.search(value):
            detail = f"the attribute {name} holds a control character or half of a surrogate pair: remove it"
            raise RejectedError(RejectReason.UNUSABLE_TEXT, detail)
        return value
    if name in _TEXTS or not isinstance(value, (bool, int, float)):
        wanted = "a string" if name in _TEXTS else "a string, number or boolean"
        raise RejectedError(RejectReason.BAD_ATTRIBUTE, f"the attribute {name} must be {wanted}")
    return value


def time_of(attributes: Attributes, name: str) -> datetime | None:
    """A time attribute in UTC, cut to microseconds.

    Raises:
        RejectedError: not RFC 3339, without an offset, or after the year 2199.

    """
    text = attributes.get(name)
    if text is None:
        return None
    found = _TIME.fullmatch(str(text))
    if found is None:
        raise _bad_time(name, "must be a time as in RFC 3339")
    day, minute, second, fraction, offset = found.groups()
    if offset is None:
        raise _bad_time(name, "has no offset from UTC, so it could be any of 26 hours")
    zone = "+00:00" if offset in "Zz" else offset
    leap = second == "60"  # RFC 3339 has leap seconds, datetime has not
    try:
        moment = datetime.fromisoformat(
            f"{day}T{minute}:{'59' if leap else second}.{(fraction or '0')[:6]:0<6}{zone}"
        ).astimezone(UTC) + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        raise _bad_time(name, "is no time of the calendar") from None
    if moment >= _LATEST:
        raise _bad_time(name, "is after the year 2199")
    return moment


def _bad_time(name: str, wrong: str) -> RejectedError:
    detail = f"the attribute {name} {wrong}: write it like 2026-11-22T10:15:00Z or 2026-11-22T11:15:00+01:00"
    return RejectedError(RejectReason.BAD_ATTRIBUTE, detail)


def traceparent_of(attributes: Attributes) -> str | None:
    """The trace context, or None where it is absent or malformed: a broken trace must not stop a notification."""
    value = attributes.get("traceparent")
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else None
