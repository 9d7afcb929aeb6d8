"""What a condition may say, and what is answered to one that cannot be read."""

import contextlib
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.audiences.audience import Everybody, Filtered, Named, Saved, parse_audience
from notifications.audiences.conditions import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_VALUES,
    AllOf,
    AnyOf,
    Leaf,
    Not,
    Now,
    Op,
    parse_condition,
)


def leaf(**changes: Any) -> dict[str, Any]:
    return {"field": "attributes.plan", "op": "eq", "value": "pro"} | changes


def test_a_condition_is_read() -> None:
    document = {
        "all": [
            leaf(),
            {"not": {"any": [leaf(field="locale", op="prefix", value="de"), leaf(op="exists", value=False)]}},
            leaf(field="attributes.last.order", op="gte", value={"now": "-P30D"}),
            leaf(op="in", value=[1, 2.5, True, "x"]),
        ]
    }
    assert parse_condition(document) == AllOf(
        (
            Leaf(("attributes", "plan"), Op.EQ, "pro"),
            Not(AnyOf((Leaf(("locale",), Op.PREFIX, "de"), Leaf(("attributes", "plan"), Op.EXISTS, False)))),
            Leaf(("attributes", "last", "order"), Op.GTE, Now(timedelta(days=-30))),
            Leaf(("attributes", "plan"), Op.IN, (1, Decimal("2.5"), True, "x")),
        )
    )


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T10:00:00+01:00", datetime(2026, 11, 22, 9, tzinfo=UTC)),
        ("2026-11-22T10:00Z", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T10:00:00.5Z", datetime(2026, 11, 22, 10, 0, 0, 500_000, UTC)),
    ],
)
def test_times_are_read(text: str, instant: datetime) -> None:
    assert parse_condition(leaf(op="lt", value=text)) == Leaf(("attributes", "plan"), Op.LT, instant)


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("P2W", timedelta(weeks=2)),
        ("-P1DT2H", -timedelta(days=1, hours=2)),
        ("PT90M", timedelta(minutes=90)),
        ("+PT5S", timedelta(seconds=5)),
    ],
)
def test_relative_times_are_read(text: str, offset: timedelta) -> None:
    assert parse_condition(leaf(op="lt", value={"now": text})) == Leaf(("attributes", "plan"), Op.LT, Now(offset))


def nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = leaf()
    for _ in range(depth - 1):
        document = {"not": document}
    return document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "filter must be an object"),
        ({"all": leaf()}, "filter.all must be a list"),
        ({"any": []}, "filter.any must be a list of at least one"),
        ({"all": [leaf(), {"not": 1}]}, r"filter.all\[1\].not must be an object"),
        ({"all": [leaf()], "any": [leaf()]}, "exactly `field`, `op` and `value`"),
        ({"field": "locale", "op": "eq"}, "exactly `field`, `op` and `value`"),
        (leaf(extra=1), "exactly `field`"),
        (leaf(op="like"), "filter.op must be one of eq, ne"),
        (leaf(op=[]), "filter.op must be one of"),
        (leaf(field="plan"), "must be one of id, name, .*or `attributes.` and a name"),
        (leaf(field="attributes"), "or `attributes.` and a name"),
        (leaf(field=7), "or `attributes.` and a name"),
        (leaf(field="email_ref"), "must be one of"),
        (leaf(field="attributes.a..b"), "none of them empty"),
        (leaf(field="attributes." + ".".join("abcdefghijk")), "at most 10 names"),
        (leaf(field="attributes." + "a" * 250), "255 characters"),
        (leaf(field="attributes.a\x00"), "NUL"),
        (leaf(value=None), 'for no value use {"op": "exists"}'),
        (leaf(value=["pro"]), "filter.value must be text, true, false or a number"),
        (leaf(value=float("nan")), "must be text, true, false or a number"),
        (leaf(value=10**18), "a number below"),
        (leaf(value="a\x00"), "without NUL"),
        (leaf(value="\ud800"), "surrogates"),
        (leaf(value="a" * 1_001), "at most 1000 characters"),
        (leaf(field="locale", value=7), "must be text, as locale is"),
        (leaf(field="locale", op="in", value=["de", 7]), r"filter.value\[1\] must be text"),
        (leaf(field="locale", op="lt", value="de"), "locale takes eq, ne, in, prefix and exists"),
        (leaf(field="created_at", op="eq", value="2026-11-22"), "created_at takes lt, lte, gt, gte and exists"),
        (leaf(field="created_at", op="lt", value=7), "must be a date or a time with its offset"),
        (leaf(op="in", value="pro"), "must be a list of 1 to 1000"),
        (leaf(op="in", value=[]), "must be a list of 1 to 1000"),
        (leaf(op="in", value=[1] * (MAX_VALUES + 1)), "must be a list of 1 to 1000"),
        (leaf(op="prefix", value=""), "the text that the field begins with"),
        (leaf(op="prefix", value=7), "the text that the field begins with"),
        (leaf(op="exists", value="yes"), "must be true or false"),
        (leaf(op="lt", value="soon"), "must be a date or a time"),
        (leaf(op="lt", value=True), "must be a date or a time"),
        (leaf(op="lt", value="2026-02-31"), "must be a date or a time"),
        (leaf(op="lt", value="2026-11-22T10:00:00"), "with its offset"),
        (leaf(op="lt", value={"now": "P"}), "P30D"),
        (leaf(op="lt", value={"now": "-P1M"}), "P30D"),
        (leaf(op="lt", value={"now": "-P30D", "then": 1}), "P30D"),
        (nested(MAX_DEPTH + 1), "nested deeper than 8"),
        ({"any": [leaf()] * (MAX_CONDITIONS + 1)}, r"filter.any\[100\] is one too many"),
    ],
)
def test_a_condition_that_cannot_be_read_says_where_and_what_to_write(document: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_condition(document)


def test_what_is_just_within_the_limits_is_read() -> None:
    parse_condition(nested(MAX_DEPTH))
    parse_condition({"any": [leaf(op="in", value=["x" * 1_000] * MAX_VALUES)]})
    parse_condition({"any": [leaf()] * MAX_CONDITIONS})


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["all", "P1D"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["all", "any", "not", "field", "op", "value", "now", "x", "filter", "list"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(_JSON)
def test_whatever_is_sent_is_read_or_refused_as_wrong(document: Any) -> None:
    for parse in (parse_condition, parse_audience):
        with contextlib.suppress(ValueError):
            parse(document)


def test_an_audience_is_one_of_four_things() -> None:
    saved = "7b0c1f5e-3c0e-4f0b-9a64-2d1f6a8e5c31"
    assert parse_audience({"all": True}) == Everybody()
    assert isinstance(parse_audience({"filter": leaf()}), Filtered)
    assert parse_audience({"list": saved}) == Saved(UUID(saved))
    assert parse_audience({"recipients": ["b", "a", "b"]}) == Named(("a", "b"))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "exactly one of"),
        ({}, "exactly one of"),
        ({"all": True, "list": "x"}, "exactly one of"),
        ({"everyone": True}, "exactly one of"),
        ({"all": False}, "all must be true"),
        ({"list": "spring"}, "id of a saved audience"),
        ({"list": 7}, "id of a saved audience"),
        ({"list": "7B0C1F5E-3C0E-4F0B-9A64-2D1F6A8E5C31"}, "as GET /v1/audiences gives it"),
        ({"recipients": []}, "1 to 1000 ids"),
        ({"recipients": ["x"] * 1_001}, "1 to 1000 ids"),
        ({"recipients": ["x", ""]}, r"recipients\[1\] must be a recipient's id"),
        ({"recipients": ["x" * 256]}, r"recipients\[0\] must be a recipient's id"),
        ({"recipients": ["\x00"]}, "without NUL"),
        ({"recipients": [7]}, "must be a recipient's id"),
        ({"filter": leaf(op="like")}, "filter.op"),
    ],
)
def test_an_audience_that_cannot_be_read_says_what_to_write(document: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_audience(document)
