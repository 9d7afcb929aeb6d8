"""Choices of consent in a file: with a source and a time, so that an older one never replaces a newer one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from notifications.catalogue.definition import Category
from notifications.imports.columns import CONSENT_SOURCE, CONSENT_TIME, checked_choice, read_time
from notifications.imports.problems import Problem, RowError
from notifications.profiles.fields import plain_text
from notifications.statuses import Channel

SOURCE = "import"  # of a choice whose row names none
MAX_SOURCE = 255  # characters
_CLOCK_SKEW = timedelta(minutes=5)
_KEYS = frozenset({"category", "channel", "opted_in", "source", "time"})
_SHAPE = "a preference has `category`, `channel`, `opted_in` (true or false), and may have `source` and `time`"


@dataclass(frozen=True, slots=True)
class Choice:
    category: str
    channel: Channel
    opted_in: bool
    source: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Made:
    """Who said so and when; `time` None: the file does not say."""

    source: str
    time: datetime | None

    def choice(self, category: str, channel: Channel, *, opted_in: bool, chosen_at: datetime) -> Choice:
        """The choice, at `chosen_at` where the file does not say when somebody opted out.

        Raises:
            RowError: it cannot be told from an older or newer one.

        """
        if self.time is None and opted_in:
            raise RowError.of(
                CONSENT_TIME,
                "missing: write when they agreed, as 2026-03-01T09:00:00Z; an agreement without a time cannot be told"
                " from one that was withdrawn since",
            )
        if self.time is not None and self.time > datetime.now(UTC) + _CLOCK_SKEW:
            raise RowError.of(CONSENT_TIME, "in the future: no later choice could replace it")
        if not self.source or len(self.source) > MAX_SOURCE:
            raise RowError.of(CONSENT_SOURCE, f"must have 1 to {MAX_SOURCE} characters")
        return Choice(category, channel, opted_in, self.source, self.time or chosen_at)


def json_choices(
    given: Any, categories: Mapping[str, Category], *, chosen_at: datetime, problems: list[Problem]
) -> list[Choice]:
    """The `preferences` of a line of NDJSON, the last one where one is made twice."""
    return list(
        {(choice.category, choice.channel): choice for choice in _read(given, categories, chosen_at, problems)}.values()
    )


def _read(
    given: Any, categories: Mapping[str, Category], chosen_at: datetime, problems: list[Problem]
) -> Iterator[Choice]:
    if given is None:
        return
    if not isinstance(given, list):
        problems.append(("preferences", "must be a list"))
        return
    for position, item in enumerate(given):
        try:
            yield _one(item, categories, chosen_at)
        except ValueError as error:
            problems.append((f"preferences[{position}]", str(error)))


def _one(item: Any, categories: Mapping[str, Category], chosen_at: datetime) -> Choice:
    if not isinstance(item, dict) or not isinstance(item.get("opted_in"), bool) or item.keys() - _KEYS:
        raise ValueError(_SHAPE)
    name, channel = plain_text(item.get("category")), plain_text(item.get("channel"))
    category, checked_channel = checked_choice(name, channel, categories)
    time = read_time(plain_text(item["time"])) if item.get("time") is not None else None
    made = Made(plain_text(item.get("source") or SOURCE), time)
    return made.choice(category, checked_channel, opted_in=item["opted_in"], chosen_at=chosen_at)
