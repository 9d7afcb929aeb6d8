"""The header of a CSV file: what each of its columns means, or everything that is wrong with it at once."""

import csv
import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from notifications.catalogue.definition import Category, ConsentDefault
from notifications.imports.problems import FileError
from notifications.imports.records import OPEN_QUOTE, is_utf8
from notifications.statuses import Channel

MAX_COLUMNS = 500
DELIMITERS = (",", ";", "\t")
PROFILE_COLUMNS = ("name", "email", "phone", "locale", "timezone")
CONSENT_SOURCE = "consent_source"
CONSENT_TIME = "consent_time"
REFUSED = "refused."  # columns that a file of refused rows has besides its own; a mended one may keep them
_ATTRIBUTE = re.compile(r"attributes\.([^.:]+)(?::(.*))?")
_SHAPES = ("attributes.<name>", "consent.<category>.<channel>")
_YES = {"true", "yes", "y", "1"}
_NO = {"false", "no", "n", "0"}


class Kind(StrEnum):
    ID = "id"
    PROFILE = "profile"
    ATTRIBUTE = "attribute"
    CHOICE = "choice"
    CONSENT_SOURCE = "consent_source"
    CONSENT_TIME = "consent_time"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Column:
    """`title` stands in the header; `name` is the field or attribute; `read` raises ValueError with what to write."""

    title: str
    kind: Kind
    name: str = ""
    channel: Channel | None = None
    read: Callable[[str], Any] = str


def read_bool(text: str) -> bool:
    word = text.lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise ValueError("neither true nor false: write true or false")


def read_number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("not a number: write one such as 12 or 12.5, with a point and without separators")
    return number


def read_date(text: str) -> str:
    """A date, or a time with its offset, as it was written."""
    try:
        if len(text) == len("2026-03-01"):
            date.fromisoformat(text)
        else:
            read_time(text)
    except ValueError:
        raise ValueError("not a date: write it as 2026-03-01 or 2026-03-01T09:00:00Z") from None
    return text


def read_time(text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise ValueError("not a time with its offset: write it as 2026-03-01T09:00:00Z")
    return time


_FIXED: Mapping[str, Column] = {
    "id": Column("", Kind.ID),
    **{name: Column("", Kind.PROFILE, name) for name in PROFILE_COLUMNS},
    CONSENT_SOURCE: Column("", Kind.CONSENT_SOURCE),
    CONSENT_TIME: Column("", Kind.CONSENT_TIME, read=read_time),
}
_READERS: Mapping[str | None, Callable[[str], Any]] = {
    None: str,
    "number": read_number,
    "bool": read_bool,
    "date": read_date,
}


def read_header(line: bytes, categories: Mapping[str, Category]) -> tuple[str, list[str]]:
    """The delimiter and the columns' titles, from the first line of a file.

    Raises:
        FileError: it is no header, or has columns that nobody knows; names all of them.

    """
    if line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in line:
        raise FileError("the file is UTF-16 or not text: save it as UTF-8 (in a spreadsheet: “CSV UTF-8”)")
    text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    if not is_utf8(text):
        raise FileError("the file is not UTF-8: save it as UTF-8 (in a spreadsheet: “CSV UTF-8”)")
    if not text.strip():
        raise FileError("the first line is empty: it has to name the columns, for example id,email,name")
    best = max(DELIMITERS, key=lambda delimiter: (_has_id(text, delimiter), text.count(delimiter)))
    titles = [title.strip() for title in _split(text, best)]
    read_columns(titles, categories)
    return best, titles


def _split(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True, skipinitialspace=True))
    except csv.Error:
        raise FileError(f"the first line, which names the columns, cannot be read: {OPEN_QUOTE}") from None


def _has_id(text: str, delimiter: str) -> bool:
    return "id" in {title.strip().strip('"').lower() for title in text.split(delimiter)}


def read_columns(titles: Sequence[str], categories: Mapping[str, Category]) -> list[Column]:
    """What the titles mean.

    Raises:
        FileError: names every one that is wrong.

    """
    if len(titles) > MAX_COLUMNS:
        raise FileError(f"the header has {len(titles)} columns: at most {MAX_COLUMNS} are taken")
    columns, problems = [], []
    for position, title in enumerate(titles, start=1):
        try:
            columns.append(_column(title, categories))
        except ValueError as error:
            problems.append(f"column {position} {title!r}: {error}")
    seen: set[tuple[Kind, str, Channel | None]] = set()
    for column in columns:
        key = (column.kind, column.name, column.channel)
        if key in seen and column.kind is not Kind.NONE:
            problems.append(f"column {column.title!r} stands in the header twice: keep one of them")
        seen.add(key)
    if not any(column.kind is Kind.ID for column in columns) and not problems:
        problems.append("no column is called id: it holds your own id of each person")
    if problems:
        raise FileError("; ".join(problems))
    return columns


def _column(title: str, categories: Mapping[str, Category]) -> Column:
    plain = title.lower()
    if plain in _FIXED:
        return replace(_FIXED[plain], title=title)
    if plain.startswith(REFUSED):
        return Column(title, Kind.NONE)
    if plain.startswith("attributes."):
        return _attribute(title)
    if plain.startswith("consent."):
        return _choice(title, categories)
    near = difflib.get_close_matches(plain, _FIXED, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"a field of your own is called attributes.{title or '<name>'}"
    raise ValueError(f"no such column: there are {', '.join((*_FIXED, *_SHAPES))}; {hint}")


def _attribute(title: str) -> Column:
    found = _ATTRIBUTE.fullmatch("attributes." + title.split(".", 1)[1])
    if found is None:
        raise ValueError("an attribute is attributes.<name>, without another point; NDJSON can have nested ones")
    name, kind = found.groups()
    if kind not in _READERS:
        raise ValueError(f"no type {kind!r}: there are :number, :bool and :date; without one it is text")
    return Column(title, Kind.ATTRIBUTE, name.strip(), read=_READERS[kind])


def _choice(title: str, categories: Mapping[str, Category]) -> Column:
    parts = title.split(".")
    if len(parts) != len(("consent", "category", "channel")):
        raise ValueError("a choice is consent.<category>.<channel>, for example consent.offers.email")
    category, channel = checked_choice(parts[1], parts[2].lower(), categories)
    return Column(title, Kind.CHOICE, category, channel, read_bool)


def checked_choice(name: str, channel: str, categories: Mapping[str, Category]) -> tuple[str, Channel]:
    """Raises ValueError for a choice that nobody has."""
    category = categories.get(name)
    if category is None:
        known = ", ".join(sorted(categories)) or "none is published: run `python -m tidings apply catalogue/`"
        raise ValueError(f"no category {name!r}: there are {known}")
    if category.default is ConsentDefault.REQUIRED:
        raise ValueError(f"{name} is required, nobody chooses it: leave it out")
    if channel not in set(Channel):
        raise ValueError(f"no channel {channel!r}: there are {', '.join(Channel)}")
    return name, Channel(channel)
