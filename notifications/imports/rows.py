"""A record as a row: what is to be written of a recipient, or everything that is wrong with it."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from notifications.catalogue.definition import Category
from notifications.events.rejection import RejectedError
from notifications.events.strict_json import loads
from notifications.imports.choices import SOURCE, Choice, Made, json_choices
from notifications.imports.columns import PROFILE_COLUMNS, Column, Kind, read_columns
from notifications.imports.problems import Problem, RowError
from notifications.profiles.fields import plain_text, read_profile
from notifications.profiles.profile import Device

MAX_ID = 255  # characters
# What a spreadsheet would take for a formula has an apostrophe before it in files of refused rows.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_FIELDS = frozenset({"id", *PROFILE_COLUMNS, "attributes", "devices", "preferences"})


@dataclass(slots=True)
class Row:
    """What is not named stays as it is: `texts` and `attributes` are written, what is in the other two is emptied."""

    line: int
    id: str
    content: str
    texts: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    emptied: Sequence[str] = ()
    removed: Sequence[str] = ()
    devices: Sequence[Device] = ()
    choices: Sequence[Choice] = ()


def checked_id(value: Any) -> str:
    """Raises ValueError for what cannot be a recipient's id; a number is taken as its digits."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        raise ValueError("empty: every row needs your own id of the person")
    text = plain_text(value)
    if len(text) > MAX_ID:
        raise ValueError(f"longer than {MAX_ID} characters")
    return text


def cell_text(cell: str) -> str:
    """Without the apostrophe that a file of refused rows puts before what looks like a formula."""
    text = cell.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def json_id(content: str) -> str:
    """The id of a line of NDJSON; raises RowError for a line without one."""
    try:
        return checked_id(_document(content).get("id"))
    except RowError:
        raise
    except ValueError as error:
        raise RowError.of("id", str(error)) from None


def _document(content: str) -> dict[str, Any]:
    try:
        document = loads(content.encode())
    except RejectedError as error:
        raise RowError.of("row", error.detail) from None
    if not isinstance(document, dict):
        raise RowError.of("row", 'not a JSON object: write {"id": "cus_1", "email": "ana@example.org"}')
    return document


def csv_cells(content: str, delimiter: str) -> list[str]:
    """The cells of one row, which may have line ends within quotes."""
    if '"' not in content:
        return content.rstrip("\r\n").split(delimiter)
    return next(
        csv.reader(
            (part + "\n" for part in content.split("\n")), delimiter=delimiter, strict=True, skipinitialspace=True
        )
    )


class RowReader:
    """Reads the records of one file. `titles`: the header of a CSV file; None: NDJSON.

    `chosen_at` is the time of an opting out whose row names none.
    """

    def __init__(
        self,
        titles: Sequence[str] | None,
        delimiter: str | None,
        categories: Mapping[str, Category],
        *,
        chosen_at: datetime,
    ) -> None:
        self._columns = read_columns(titles, categories) if titles is not None else None
        self._delimiter = delimiter or ","
        self._categories = categories
        self._chosen_at = chosen_at

    def read(self, line: int, recipient_id: str, content: str) -> Row:
        """The row.

        Raises:
            RowError: everything that is wrong with it.

        """
        problems: list[Problem] = []
        if self._columns is None:
            document, choices = self._json(content, problems)
        else:
            document, choices = self._csv(self._columns, content, problems)
        row = _row(Row(line, recipient_id, content, choices=choices), document, problems)
        if problems:
            raise RowError(problems)
        return row

    def _json(self, content: str, problems: list[Problem]) -> tuple[dict[str, Any], list[Choice]]:
        document = _document(content)
        for name in document.keys() - _FIELDS:
            known = ", ".join(sorted(_FIELDS))
            problems.append((name, f"no such field: there are {known}; one of your own goes into attributes"))
        given = document.pop("preferences", None)
        return document, json_choices(given, self._categories, chosen_at=self._chosen_at, problems=problems)

    def _csv(
        self, columns: Sequence[Column], content: str, problems: list[Problem]
    ) -> tuple[dict[str, Any], list[Choice]]:
        """An empty cell says nothing."""
        found: list[tuple[Column, Any]] = []
        for column, cell in zip(columns, csv_cells(content, self._delimiter), strict=True):
            text = cell_text(cell)
            if text and column.kind is not Kind.NONE:
                try:
                    found.append((column, column.read(text)))
                except ValueError as error:
                    problems.append((column.title, str(error)))
        document = {column.name: value for column, value in found if column.kind is Kind.PROFILE}
        attributes = {column.name: value for column, value in found if column.kind is Kind.ATTRIBUTE}
        if attributes:
            document["attributes"] = attributes
        return document, self._csv_choices(found, problems)

    def _csv_choices(self, found: Sequence[tuple[Column, Any]], problems: list[Problem]) -> list[Choice]:
        source = next((value for column, value in found if column.kind is Kind.CONSENT_SOURCE), SOURCE)
        made = Made(source, next((value for column, value in found if column.kind is Kind.CONSENT_TIME), None))
        choices = []
        for column, opted_in in found:
            if column.channel is None:
                continue
            try:
                choices.append(made.choice(column.name, column.channel, opted_in=opted_in, chosen_at=self._chosen_at))
            except RowError as error:
                problems += [problem for problem in error.problems if problem not in problems]
        return choices


def _row(row: Row, document: Mapping[str, Any], problems: list[Problem]) -> Row:
    """With the fields of a profile; those that are null or empty are emptied."""
    profile = read_profile(row.id, document, lambda column, error: problems.append((column, str(error))))
    row.texts = {name: value for name in PROFILE_COLUMNS if (value := getattr(profile, name)) is not None}
    row.emptied = [name for name in PROFILE_COLUMNS if name in document and document[name] in (None, "")]
    row.attributes = {name: value for name, value in profile.attributes.items() if value is not None}
    given = document.get("attributes")
    if isinstance(given, Mapping):
        row.removed = [name for name, value in given.items() if value is None]
    row.devices = profile.devices
    return row
