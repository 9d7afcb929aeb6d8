"""Every byte of a file is part of a record, of a refused one, or of an empty line; in bounded memory."""

import csv
import io
import random

import pytest

from notifications.imports.records import (
    MAX_RECORD,
    NOT_UTF8,
    NUL,
    OPEN_QUOTE,
    TOO_LONG,
    CsvRecords,
    JsonRecords,
    Record,
    Records,
)


def read(records: Records, data: bytes, *, chunk: int = 7) -> list[Record]:
    found = [record for start in range(0, len(data), chunk) for record in records.feed(data[start : start + chunk])]
    return [*found, *records.feed(b"", end=True)]


def csv_rows(data: bytes, *, width: int = 2, chunk: int = 7) -> list[Record]:
    return read(CsvRecords(",", width, line=2, offset=0), data, chunk=chunk)


def cells(records: list[Record]) -> list[list[str] | None]:
    return [None if record.fields is None else list(record.fields) for record in records]


@pytest.mark.parametrize("chunk", [1, 2, 5, 1000])
def test_a_row_may_have_line_ends_and_doubled_quotes_within_quotes(chunk: int) -> None:
    found = csv_rows(b'a,"one\r\ntwo"\r\nb,"say ""hi"""\n\nc,d', chunk=chunk)
    assert cells(found) == [["a", "one\r\ntwo"], ["b", 'say "hi"'], ["c", "d"]]
    assert [record.line for record in found] == [2, 4, 6]


def test_whatever_csv_writes_is_read_back_in_any_pieces() -> None:
    chance = random.Random(5)  # noqa: S311 - the same rows in every run
    letters = "ab\",;\n\r\u00e9\u2028 '"
    rows = [["".join(chance.choices(letters, k=chance.randrange(6))) for _ in range(3)] for _ in range(300)]
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL).writerows(rows)
    data = out.getvalue().encode()
    for chunk in (1, 3, 64, 5000):
        records = CsvRecords(",", 3, line=2, offset=10)
        found = read(records, data, chunk=chunk)
        assert cells(found) == rows
        assert records.offset == 10 + len(data)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"a,b,c", "the row has 3 cells, the header has 2"),
        (b"a", "the row has 1 cells, the header has 2"),
        (b"a,\xe9", NOT_UTF8),
        (b"a,\0", NUL),
        (b"a," + b"x" * MAX_RECORD, TOO_LONG),
        (
            b'a,"b"c',
            'a quotation mark stands within a cell: write "" for it, and quotation marks around the whole cell',
        ),
        (b"a\rb,c", "a line ends with a carriage return alone: save the file with Unix or Windows line ends"),
        (b'a,"b', OPEN_QUOTE),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_and_its_neighbours_are_not(row: bytes, problem: str) -> None:
    for chunk in (3, 100_000):
        found = csv_rows(b"1,one\n" + row + b"\n2,two\n3,three\n", chunk=chunk)
        assert [record.problem for record in found] == [None, problem, None, None]
        assert [record.line for record in found] == [2, 3, 4, 5]
        found[1].content.encode()
        assert "\0" not in found[1].content


def test_a_quotation_mark_that_closes_far_below_takes_no_good_row_with_it() -> None:
    found = csv_rows(b'1,"open\n2,two\n3,"three"\n4,four\n')
    assert [(record.line, record.problem is None) for record in found] == [(2, False), (3, True), (4, True), (5, True)]


def test_one_that_is_never_closed_is_given_up_within_bounds() -> None:
    good = b"".join(b"%d,%s\n" % (number, b"x" * 100) for number in range(2000))
    found = csv_rows(b'0,"open\n' + good, chunk=4096)
    assert (found[0].problem, len(found)) == (OPEN_QUOTE, 2001)
    assert all(record.problem is None for record in found[1:])


def test_memory_is_bounded_whatever_comes() -> None:
    records = CsvRecords(",", 2, line=2, offset=0)
    for _ in range(64):
        assert not list(records.feed(b"x" * MAX_RECORD))
    (found,) = records.feed(b"\n")
    assert (found.problem, len(found.content) <= 1000, records.offset) == (TOO_LONG, True, 64 * MAX_RECORD + 1)


def test_reading_goes_on_at_any_place_between_records() -> None:
    data = b'1,"a\nb"\n2,c\n\n3,"d\n\ne"\n4,f\n'
    whole = csv_rows(data)
    records = CsvRecords(",", 2, line=2, offset=0)
    for piece in (data[:10], data[10:18]):
        list(records.feed(piece))
        rest = read(CsvRecords(",", 2, line=records.line, offset=records.offset), data[records.offset :])
        assert rest == [record for record in whole if record.line >= records.line]


def test_a_line_of_json_is_a_record_and_the_byte_order_mark_is_none_of_it() -> None:
    found = read(JsonRecords(), b'\xef\xbb\xbf{"id": 1}\r\n\n  \n{"id": 2}')
    assert [(record.line, record.content) for record in found] == [(1, '{"id": 1}'), (4, '{"id": 2}')]
    refused = read(JsonRecords(), b"\xff\n" + b"x" * (MAX_RECORD + 1) + b"\n{}", chunk=5000)
    assert [record.problem for record in refused] == [NOT_UTF8, TOO_LONG, None]
