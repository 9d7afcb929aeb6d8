"""Lists of ids, as people save them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.audiences.lists import MAX_RECORD, UploadedIds


def ids_of(content: bytes, *, column: str | None = None, size: int = 7) -> list[str]:
    """What COPY would store, fed in pieces of `size` bytes."""
    with UploadedIds(column) as ids:
        for start in range(0, len(content), size):
            ids.feed(content[start : start + size])
        ids.feed(b"", end=True)
        text = b"".join(ids.pieces()).decode()
    lines = text.split("\n")[:-1]
    return [line.replace("\\t", "\t").replace("\\r", "\r").replace("\\\\", "\\") for line in lines]


@pytest.mark.parametrize(
    ("content", "ids"),
    [
        (b"", []),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nb", ["a", "b"]),
        (b"\xef\xbb\xbfa\n\n  b  \n\n", ["a", "b"]),
        ("käthe\n名\n".encode(), ["käthe", "名"]),
        (b"a\tb\nc\\d\n\\.\n", ["a\tb", "c\\d", "\\."]),
    ],
)
def test_an_id_a_line(content: bytes, ids: list[str]) -> None:
    assert ids_of(content) == ids


@pytest.mark.parametrize(
    ("content", "ids"),
    [
        (b"city,customer\nLisboa,a\nPorto,b", ["a", "b"]),
        (b"city;customer\r\n\r\nLisboa;a\r\n;\r\n", ["a"]),
        (b"city\tcustomer \n\ta\n", ["a"]),
        (b'"city","customer"\n"Sao ""P"" Paulo\nand, around","a"\nx,"b"\n', ["a", "b"]),
        (b"\xef\xbb\xbfcustomer\na\n", ["a"]),
        (b"customer,city\n", []),
    ],
)
def test_a_column_of_a_csv_file(content: bytes, ids: list[str]) -> None:
    for size in (1, 5, 1_000):
        assert ids_of(content, column="customer", size=size) == ids


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\x00"), min_size=1, max_size=20)))
def test_every_id_comes_back_as_it_was(ids: list[str]) -> None:
    wanted = [each.strip().removeprefix("\ufeff").strip() for each in ids]
    content = "\n".join(each for each in wanted if each)
    assert ids_of(content.encode(), size=3) == [each for each in wanted if each]


@pytest.mark.parametrize(
    ("content", "column", "words"),
    [
        (b"a\n\xff\n", None, "not UTF-8"),
        (b"a\n" + b"b" * 256 + b"\n", None, "line 2 must be a recipient's id"),
        (b"a\nb\x00\n", None, "line 2 must be a recipient's id"),
        (b"a" * (MAX_RECORD + 1), None, "line 1 has more than 65536 characters"),
        (b"", "customer", "the file is empty"),
        (b"city,client\nLisboa,a\n", "customer", "names no column 'customer'"),
        (b"city,customer\nLisboa,a\nPorto\n", "customer", "line 3 has 1 columns, and the ids are in column 2"),
        (b'city,customer\n"Lisboa,a\n', "customer", "line 2 ends within quotation marks"),
        (b'city,customer\n"Lisboa,a\n' + b"x,y\n" * 20_000, "customer", "still within quotation marks"),
        (b"city,customer\nLis\rboa,a\n", "customer", "line 2 is not CSV"),
    ],
)
def test_a_wrong_file_says_where_and_what(content: bytes, column: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ids_of(content, column=column, size=10_000)


def test_a_large_list_waits_in_a_file() -> None:
    content = b"".join(b"customer-%d\n" % number for number in range(150_000))
    assert len(content) > 2_000_000
    found = ids_of(content, size=65_536)
    assert (len(found), found[0], found[-1]) == (150_000, "customer-0", "customer-149999")
