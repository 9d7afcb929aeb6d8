"""A header says what its columns mean, or everything that is wrong with it."""

import pytest

from notifications.imports.columns import read_date, read_header, read_number
from notifications.imports.problems import FileError
from tests.notifications.imports.support import CATEGORIES


def titles(line: bytes) -> list[str]:
    return read_header(line, CATEGORIES)[1]


@pytest.mark.parametrize(
    ("line", "delimiter"),
    [(b"id,email\n", ","), (b"id;email;name\r\n", ";"), (b"Email\tID\n", "\t"), (b'"id","attributes.a;b"\n', ",")],
)
def test_the_delimiter_is_found(line: bytes, delimiter: str) -> None:
    assert read_header(line, CATEGORIES)[0] == delimiter


def test_a_byte_order_mark_and_spaces_do_not_matter() -> None:
    assert titles(b"\xef\xbb\xbfID, Email ,attributes.Plan:number\n") == ["ID", "Email", "attributes.Plan:number"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"email,name\n", "no column is called id"),
        (b"id,e-mail\n", "did you mean email?"),
        (b"id,plan\n", "attributes.plan"),
        (b"id,email,Email\n", "'Email' stands in the header twice"),
        (b"id,attributes.a,attributes.a:number\n", "twice"),
        (b"id,attributes.a:money\n", "no type 'money'"),
        (b"id,attributes.a.b\n", "NDJSON"),
        (b"id,consent.offer.email\n", "no category 'offer': there are offers, payments"),
        (b"id,consent.offers.mail\n", "no channel 'mail'"),
        (b"id,consent.payments.email\n", "payments is required"),
        (b"id,consent.offers\n", "consent.<category>.<channel>"),
        (b"id,\n", "column 2 ''"),
        (b"\n", "the first line is empty"),
        (b"\xff\xfei\0d\0\n", "UTF-16"),
        (b"id,\xe9\n", "not UTF-8"),
        (b'id,"email\n', "cannot be read"),
        (b"id" + b",attributes.a" * 500 + b"\n", "at most 500"),
    ],
)
def test_what_is_wrong_is_said(line: bytes, words: str) -> None:
    with pytest.raises(FileError) as caught:
        read_header(line, CATEGORIES)
    assert words in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(FileError, match=r"'plan'.*'shoes'"):
        titles(b"id,plan,shoes\n")


def test_typed_values_are_read_strictly() -> None:
    assert (read_number("12"), read_number("-1.5")) == (12, -1.5)
    assert (read_date("2026-03-01"), read_date("2026-03-01T09:00:00Z")) == ("2026-03-01", "2026-03-01T09:00:00Z")
    for text in ("1,5", "nan", "inf", "1e999", "x"):
        with pytest.raises(ValueError, match="not a number"):
            read_number(text)
    for text in ("01.03.2026", "2026-13-01", "2026-03-01T09:00:00"):
        with pytest.raises(ValueError, match="not a date"):
            read_date(text)
