"""A stream of bytes as the records of a file, each with its place, in bounded memory.

A record is a line of NDJSON, or a row of CSV, which may have line ends within quotes. What cannot be a record is one
all the same, with the reason, so that nothing is lost without a word.
"""

import csv
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from typing_extensions import override

MAX_RECORD = 64 * 1024  # bytes
_SHOWN = 1_000  # bytes of a record that is too long
_BOM = b"\xef\xbb\xbf"

TOO_LONG = f"the row is longer than {MAX_RECORD // 1024} KiB: is a line end missing?"
NOT_UTF8 = "the row is not UTF-8: save the file as UTF-8 (in a spreadsheet: “CSV UTF-8”)"
OPEN_QUOTE = 'a cell begins with a quotation mark that is never closed: close it, or write "" for one within a cell'
NUL = "the row holds a NUL character: remove it"


class Line(NamedTuple):
    """`text` has its line end; of one that is too long it is the beginning. `size` is in bytes, as they came."""

    number: int
    text: str
    size: int

    @property
    def too_long(self) -> bool:
        return self.size > MAX_RECORD


class Record(NamedTuple):
    """`fields`: the cells of a CSV row; `problem`: why it cannot be read."""

    line: int
    content: str
    fields: Sequence[str] | None = None
    problem: str | None = None


class Records(Protocol):
    """`offset` and `line` are where the record after the last whole one begins."""

    offset: int
    line: int

    def feed(self, chunk: bytes, *, end: bool = False) -> Iterator[Record]:
        """The records that are whole with this chunk; take all of them before the next."""
        ...


class Lines:
    """Whole lines of a stream; a longer one than a record may be is kept by its beginning only."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._rest = b""
        self._size = 0  # of the line that `_rest` begins, in bytes

    def feed(self, chunk: bytes, *, end: bool = False) -> list[Line]:
        *whole, rest = chunk.split(b"\n")
        lines = [self._line(part + b"\n") for part in whole]
        self._keep(rest)
        if end and self._size:
            lines.append(self._line(b""))
        return lines

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        self._rest = (self._rest + part)[: MAX_RECORD + 1]

    def _line(self, part: bytes) -> Line:
        self._keep(part)
        data, size, number = self._rest, self._size, self._number
        self._rest, self._size, self._number = b"", 0, number + 1
        if number == 1:
            data = data.removeprefix(_BOM)
        if size > MAX_RECORD:
            data = data[:_SHOWN]
        return Line(number, data.decode("utf-8", "surrogateescape"), size)


def unusable(text: str) -> str | None:
    """Why a text cannot be a record; None: it can."""
    if "\x00" in text:
        return NUL
    return None if text.isascii() or is_utf8(text) else NOT_UTF8


def is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(text: str) -> str:
    """What can be shown of a text that cannot be used."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return shown.replace("\x00", "\ufffd")


class JsonRecords(Records):
    """A record per line; empty lines are none."""

    def __init__(self, *, line: int = 1, offset: int = 0) -> None:
        self.line = line
        self.offset = offset
        self._lines = Lines(line)

    @override
    def feed(self, chunk: bytes, *, end: bool = False) -> Iterator[Record]:
        for line in self._lines.feed(chunk, end=end):
            self.line, self.offset = line.number + 1, self.offset + line.size
            text = line.text.strip()
            if text:
                problem = TOO_LONG if line.too_long else unusable(text)
                yield Record(line.number, text if problem is None else storable(text), None, problem)


class CsvRecords(Records):
    """RFC 4180 with rows of `width` cells and any one character as delimiter, after the header.

    Where rows cannot be told apart, only the first line is refused, and the next one is read as a row again.
    """

    def __init__(self, delimiter: str, width: int, *, line: int, offset: int) -> None:
        self.line = line
        self.offset = offset
        self._delimiter = delimiter
        self._width = width
        self._lines = Lines(line)
        self._pending: list[Line] = []  # a row whose quotation mark is not closed yet

    @override
    def feed(self, chunk: bytes, *, end: bool = False) -> Iterator[Record]:
        lines = self._pending + self._lines.feed(chunk, end=end)
        self._pending = []
        start = 0
        while start < len(lines):
            cut = next((i for i in range(start, len(lines)) if lines[i].too_long), len(lines))
            yield from self._rows(lines[start:cut], end=end or cut < len(lines))
            if cut < len(lines):
                yield self._refused(lines[cut], TOO_LONG)
            start = cut + 1

    def _rows(self, lines: list[Line], *, end: bool) -> Iterator[Record]:
        """`end`: no line follows that could close a quotation mark."""
        start = 0
        while start < len(lines):
            for taken, fields, problem in self._parsed(lines[start:]):
                part = lines[start : start + taken]
                if problem is OPEN_QUOTE and not end and _size(part) <= MAX_RECORD:
                    self._pending = part
                    return
                if problem is not None:
                    yield self._refused(part[0], problem)
                    start += 1
                    if taken > 1:
                        break  # the other lines were taken for a part of this row
                else:
                    start += taken
                    self._pass(part)
                    if fields:
                        yield _record(part, fields)

    def _parsed(self, lines: Sequence[Line]) -> Iterator[tuple[int, list[str], str | None]]:
        """For each row how many lines it has, its cells, and what is wrong with it; an empty line has no cells."""
        position = 0

        def texts() -> Iterator[str]:
            nonlocal position
            for line in lines:
                position += 1
                yield line.text

        rows = csv.reader(texts(), delimiter=self._delimiter, strict=True, skipinitialspace=True)
        while True:
            begin = position
            try:
                fields = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield position - begin, [], _readable(error)
            else:
                ragged = bool(fields) and len(fields) != self._width
                problem = f"the row has {len(fields)} cells, the header has {self._width}" if ragged else None
                yield position - begin, fields, problem

    def _refused(self, line: Line, problem: str) -> Record:
        self._pass((line,))
        return Record(line.number, storable(line.text[:_SHOWN]), None, unusable(line.text) or problem)

    def _pass(self, lines: Sequence[Line]) -> None:
        self.line = lines[-1].number + 1
        self.offset += _size(lines)


def _size(lines: Sequence[Line]) -> int:
    return sum(line.size for line in lines)


def _record(lines: Sequence[Line], fields: list[str]) -> Record:
    content = lines[0].text if len(lines) == 1 else "".join(line.text for line in lines)
    problem = TOO_LONG if len(lines) > 1 and _size(lines) > MAX_RECORD else unusable(content)
    if problem is not None:
        return Record(lines[0].number, storable(content[:_SHOWN]), None, problem)
    return Record(lines[0].number, content, fields)


def _readable(error: csv.Error) -> str:
    text = str(error)
    if "end of data" in text or "field limit" in text:
        return OPEN_QUOTE
    if "new-line" in text:
        return "a line ends with a carriage return alone: save the file with Unix or Windows line ends"
    return 'a quotation mark stands within a cell: write "" for it, and quotation marks around the whole cell'
