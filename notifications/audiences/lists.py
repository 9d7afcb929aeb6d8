"""An uploaded list of recipients' ids, one a line or in a column of a CSV file, read as it comes."""

import codecs
import csv
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Self

from notifications.audiences.audience import checked_id

MAX_RECORD = 64 * 1024  # characters of a line, or of a CSV row with its line breaks
_IN_MEMORY = 1024 * 1024  # bytes; what is longer waits in a file
_DELIMITERS = (",", ";", "\t")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\r": "\\r"})  # of COPY's text format


class UploadedIds:
    """Checks each id as it comes and keeps them in a temporary file, so that a slow upload holds no connection.

    `column` is the header of the column that has the ids; without one, every line is an id.
    """

    def __init__(self, column: str | None = None) -> None:
        self._column = column
        self._place: tuple[int, str] | None = None  # of the column, and what separates columns
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._rest = ""
        self._line = 0
        self._record = ""  # of a CSV row: its lines so far
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def feed(self, chunk: bytes, *, end: bool = False) -> None:
        """Take more of the file; `end` says that nothing follows.

        Raises:
            ValueError: says in which line, and what to mend.

        """
        try:
            self._rest += self._decoder.decode(chunk, end)
        except UnicodeDecodeError:
            raise ValueError(f"line {self._line + 1} or a later one is not UTF-8: save the file as UTF-8") from None
        *lines, self._rest = self._rest.split("\n")
        if end and self._rest:
            lines.append(self._rest)
            self._rest = ""
        self._file.write("".join(self._ids(lines)).encode())
        if len(self._rest) > MAX_RECORD:
            raise ValueError(f"line {self._line + 1} has more than {MAX_RECORD} characters: it is no list of ids")
        if end and self._record:
            raise ValueError(f"line {self._line} ends within quotation marks: close them")
        if end and self._column is not None and self._place is None:
            raise ValueError("the file is empty: its first line names the columns")

    def pieces(self) -> Iterator[bytes]:
        """What was taken, as text for COPY."""
        self._file.seek(0)
        while piece := self._file.read(_IN_MEMORY):
            yield piece

    def _ids(self, lines: Iterable[str]) -> Iterator[str]:
        ids = self._whole_lines(lines) if self._column is None else self._column_of(lines)
        for text in ids:
            if text.strip():
                yield checked_id(text.strip(), f"line {self._line}").translate(_ESCAPES) + "\n"

    def _whole_lines(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._line += 1
            yield line

    def _column_of(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self._line += 1
            self._record += line + "\n"
            if self._record.count('"') % 2 == 0:
                record, self._record = self._record.rstrip("\r\n"), ""
                if record:
                    yield from self._field_of(record)
            elif len(self._record) > MAX_RECORD:
                raise ValueError(f"line {self._line} is still within quotation marks that were opened long before it")

    def _field_of(self, record: str) -> Iterator[str]:
        """The id of a row; nothing for the first row, which names the columns."""
        if self._place is None:
            self._place = self._find_column(record)
            return
        place, delimiter = self._place
        fields = _split(record, delimiter, self._line)
        if len(fields) <= place:
            raise ValueError(f"line {self._line} has {len(fields)} columns, and the ids are in column {place + 1}")
        yield fields[place]

    def _find_column(self, record: str) -> tuple[int, str]:
        for delimiter in _DELIMITERS:
            names = [name.strip() for name in _split(record, delimiter, self._line)]
            if self._column in names:
                return names.index(self._column), delimiter
        raise ValueError(f"the first line names no column {self._column!r}; columns are separated by , ; or tab")


def _split(record: str, delimiter: str, line: int) -> list[str]:
    try:
        return next(csv.reader([record], delimiter=delimiter))
    except csv.Error as error:
        raise ValueError(f"line {line} is not CSV: {error}") from None
