"""Finds our reference in whatever slot a vendor has for it.

A sender may put its idempotency key (a UUID), its correlation (`<origin uuid>.<seq>.<attempt>`) or both into one slot,
bare, as a query string or as JSON; the message id follows from a correlation, so that a key is found either way.
"""

import re
from dataclasses import dataclass
from uuid import UUID

from notifications.ids import message_id

_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_CORRELATION = re.compile(rf"(?<![\w-])({_UUID})\.(\d+)\.(\d+)(?![\w])")
_KEY = re.compile(rf"(?<![\w-])({_UUID})(?![\w.-])")


@dataclass(frozen=True, slots=True)
class Slots:
    key: str | None
    correlation: str | None


def read_slots(*texts: str | None) -> Slots:
    """Look through the texts in order; without any UUID the first text itself is the key."""
    given = [text for text in texts if text]
    correlation = next((found for text in given if (found := _CORRELATION.search(text))), None)
    key = next((found.group(1).lower() for text in given if (found := _KEY.search(text))), None)
    if key is None and correlation is not None:
        key = str(message_id(UUID(correlation.group(1)), int(correlation.group(2))))
    if key is None and given:
        key = given[0]
    return Slots(key, correlation.group(0) if correlation is not None else None)
