"""Money, numbers and times, by CLDR's rules for the message's locale and in the recipient's time zone.

Their errors say what is needed and never hold a value: it may be personal.
"""

from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import babel.dates
import babel.numbers
from jinja2.runtime import Context, Undefined
from jinja2.utils import pass_context

from notifications.rendering.locales import babel_locale

_NAMED = frozenset({"short", "medium", "long", "full"})


class FilterError(ValueError):
    """A filter was given what it cannot format; the message holds no value."""


@pass_context
def money(context: Context, value: Any, currency: Any) -> str:
    """An amount with its currency: €49.90 in English, 49,90 € in German."""
    _defined(value, currency)
    if not (isinstance(currency, str) and babel.numbers.is_currency(currency)):
        raise FilterError("money() needs an ISO 4217 currency code such as EUR")
    return str(babel.numbers.format_currency(_decimal(value, "money"), currency, locale=_locale(context)))


@pass_context
def number(context: Context, value: Any, digits: int | None = None) -> str:
    """`{{ data.count | number }}`: 1,234.5; `number(2)` fixes the digits after the point."""
    _defined(value)
    pattern = None if digits is None else f"#,##0.{'0' * min(digits, 10)}".rstrip(".")
    return str(babel.numbers.format_decimal(_decimal(value, "number"), format=pattern, locale=_locale(context)))


@pass_context
def format_date(context: Context, value: Any, format: str = "long") -> str:  # noqa: A002 - the name template authors use
    """A day: `short`, `medium`, `long`, `full` or a CLDR pattern such as `EEEE d MMMM`."""
    _defined(value)
    if isinstance(value, str) and len(value) == len("2026-11-22"):
        day = _parsed(value, date.fromisoformat, "date")
    else:
        day = _instant(value, "date").astimezone(_zone(context)).date()
    return _written(day, format, _locale(context))


@lru_cache(maxsize=1024)
def _written(day: date, pattern: str, locale: babel.Locale) -> str:
    """A campaign says the same day to everybody, and CLDR's patterns are read anew each time."""
    return babel.dates.format_date(day, pattern, locale=locale)


@pass_context
def format_datetime(context: Context, value: Any, format: str = "medium") -> str:  # noqa: A002 - as above
    """A day and a time, in the recipient's zone."""
    _defined(value)
    return babel.dates.format_datetime(
        _instant(value, "datetime"), format, tzinfo=_zone(context), locale=_locale(context)
    )


@pass_context
def format_time(context: Context, value: Any, format: str = "short") -> str:  # noqa: A002 - as above
    """A time of day, in the recipient's zone."""
    _defined(value)
    local = _instant(value, "time").astimezone(_zone(context))
    return babel.dates.format_time(local, format, tzinfo=_zone(context), locale=_locale(context))


FILTERS = {
    "money": money,
    "number": number,
    "date": format_date,
    "datetime": format_datetime,
    "time": format_time,
}


def _defined(*values: Any) -> None:
    for value in values:
        if isinstance(value, Undefined):
            str(value)  # raises, naming what is undefined


def _decimal(value: Any, name: str) -> Decimal:
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        try:
            parsed = Decimal(str(value).strip())
        except InvalidOperation:
            pass
        else:
            if parsed.is_finite() and abs(parsed.adjusted()) < 30:  # noqa: PLR2004 - 1e30 is no amount of anything
                return parsed
    raise FilterError(f"{name}() needs a number, or one as text such as '49.90'")


def _instant(value: Any, name: str) -> datetime:
    parsed = _parsed(value, datetime.fromisoformat, name) if isinstance(value, str) else value
    if not isinstance(parsed, datetime) or parsed.tzinfo is None:
        raise FilterError(f"{name}() needs an RFC 3339 time with its offset, such as 2026-11-22T10:15:00Z")
    return parsed


def _parsed(value: str, parse: Any, name: str) -> Any:
    try:
        return parse(value)
    except ValueError:
        raise FilterError(f"{name}() needs an RFC 3339 date or time, such as 2026-11-22T10:15:00Z") from None


def _locale(context: Context) -> babel.Locale:
    return babel_locale(str(context.get("locale") or "en"))


def _zone(context: Context) -> tzinfo:
    recipient = context.get("recipient") or {}
    return zone(recipient.get("timezone") or "UTC")


@lru_cache(maxsize=512)
def zone(name: str) -> tzinfo:
    """The IANA zone; UTC for an unknown one, since a wrong profile must not stop a message."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
