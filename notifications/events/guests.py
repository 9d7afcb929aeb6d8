"""The guest block `data.recipient`: a recipient without a profile, described by the event itself."""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from notifications.addresses import normalise_email, normalise_phone
from notifications.events.rejection import RejectedError, RejectReason, show_name

_MAX_LENGTH = 255
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def _locale(text: str) -> None:
    if not _LOCALE.fullmatch(text):
        raise ValueError("not a language tag: write it like de or pt-BR")


def _timezone(text: str) -> None:
    if text not in _timezones():
        raise ValueError("not an IANA time zone: write it like Europe/Berlin")


def _name(text: str) -> None:
    if not text.isprintable():
        raise ValueError("line breaks and control characters are not part of a name: remove them")


_CHECKS: Mapping[str, Callable[[str], object]] = {
    "email": normalise_email,
    "phone": normalise_phone,
    "name": _name,
    "locale": _locale,
    "timezone": _timezone,
}


def check_guest(block: Any) -> dict[str, str]:
    """The block without its null fields.

    Raises:
        RejectedError: names the field and what to mend, without its value.

    """
    if not isinstance(block, dict):
        raise _wrong("data.recipient is reserved for a guest: make it an object with email or phone, or rename it")
    given = {field: value for field, value in block.items() if value is not None}
    for field, value in given.items():
        check = _CHECKS.get(field)
        if check is None:
            raise _wrong(f"data.recipient.{show_name(field)} is not known: a guest has {', '.join(_CHECKS)}")
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_LENGTH:
            raise _wrong(f"data.recipient.{field} must be a text of 1 to {_MAX_LENGTH} characters")
        try:
            check(value)
        except ValueError as error:
            raise _wrong(f"data.recipient.{field}: {error}") from None
    if "email" not in given and "phone" not in given:
        raise _wrong("data.recipient needs an email or a phone")
    return given


def _wrong(detail: str) -> RejectedError:
    return RejectedError(RejectReason.BAD_RECIPIENT, detail)
