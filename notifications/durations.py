"""Durations as people write them in the catalogue: 30s, 10m, 72h, 7d."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_PATTERN = re.compile(r"(\d+)([smhd])")


def parse_duration(value: Any) -> Any:
    """Turn `30m` into a timedelta.

    Raises:
        ValueError: for any other text, or a bare number (its unit would be a guess).

    """
    if isinstance(value, timedelta):
        return value
    found = _PATTERN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        message = f"{value!r} is not a duration: write a whole number and s, m, h or d, for example 30m"
        raise ValueError(message)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def parse_period(value: Any) -> Any:
    """Turn `90d` into a timedelta and `keep` into None, which is for ever.

    Raises:
        ValueError: for any other text.

    """
    return None if value in {None, "keep"} else parse_duration(value)


def format_duration(value: timedelta) -> str:
    """The shortest whole spelling: 5400 s is 90m."""
    seconds = int(value.total_seconds())
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str, when_used="json")
]
Period = Annotated[timedelta | None, BeforeValidator(parse_period)]
