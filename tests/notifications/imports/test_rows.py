"""A row is read whole, or everything that is wrong with it is said without its values."""

from datetime import UTC, datetime
from typing import Any

import pytest

from notifications.imports.choices import Choice
from notifications.imports.columns import read_header
from notifications.imports.problems import RowError
from notifications.imports.rows import Row, RowReader, json_id
from notifications.profiles.profile import Device
from notifications.statuses import Channel
from tests.notifications.imports.support import CATEGORIES, lines

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, 9, tzinfo=UTC)


def csv_row(header: str, row: str) -> Row:
    delimiter, titles = read_header(f"{header}\n".encode(), CATEGORIES)
    return RowReader(titles, delimiter, CATEGORIES, chosen_at=NOW).read(2, "c1", row)


def json_row(**document: Any) -> Row:
    content = lines({"id": "c1", **document}).decode()
    return RowReader(None, None, CATEGORIES, chosen_at=NOW).read(1, "c1", content)


def test_fields_come_in_one_spelling_and_an_empty_cell_says_nothing() -> None:
    row = csv_row("id,name,email,phone,locale,timezone", "c1, Ana ,ANA@Example.ORG,+49 151 1234 5678,de_AT,")
    expected = {"name": "Ana", "email": "ANA@example.org", "phone": "+4915112345678", "locale": "de-AT"}
    assert (row.texts, row.emptied) == (expected, [])


def test_attributes_have_the_type_of_their_column() -> None:
    row = csv_row(
        "id,attributes.plan,attributes.age:number,attributes.vip:bool,attributes.since:date,attributes.none",
        "c1,pro,42,yes,2026-03-01,",
    )
    assert row.attributes == {"plan": "pro", "age": 42, "vip": True, "since": "2026-03-01"}


def test_a_cell_may_have_line_ends_and_separators_of_other_alphabets() -> None:
    assert csv_row("id,name", 'c1,"A\nB\u2028C"').texts["name"] == "A\nB\u2028C"
    assert csv_row("id,name", "c1,A\u2028B").texts["name"] == "A\u2028B"


def test_an_apostrophe_before_what_looks_like_a_formula_is_taken_off() -> None:
    assert csv_row("id,phone,name", "c1,'+4915112345678,'Tis").texts == {"phone": "+4915112345678", "name": "'Tis"}


def test_choices_have_their_source_and_time() -> None:
    header = "id,consent.offers.email,consent.offers.sms,consent.offers.push,consent_source,consent_time"
    row = csv_row(header, "c1,true,no,,sign-up form,2026-03-01T10:00:00+01:00")
    assert row.choices == [
        Choice("offers", Channel.EMAIL, True, "sign-up form", MARCH),
        Choice("offers", Channel.SMS, False, "sign-up form", MARCH),
    ]


def test_who_opts_out_without_a_time_does_so_now() -> None:
    (choice,) = csv_row("id,consent.offers.email", "c1,0").choices
    assert (choice.opted_in, choice.source, choice.time) == (False, "import", NOW)


@pytest.mark.parametrize(
    ("header", "row", "column", "words"),
    [
        ("id,email", "c1,canary", "email", "write it as name@example.org"),
        ("id,phone", "c1,0151 canary", "phone", "must begin with +"),
        ("id,timezone", "c1,Mars/Canary", "timezone", "Europe/Berlin"),
        ("id,locale", "c1,canary!", "locale", "de-AT"),
        ("id,attributes.a:number", "c1,canary", "attributes.a:number", "not a number"),
        ("id,attributes.a:bool", "c1,canary", "attributes.a:bool", "true or false"),
        ("id,consent.offers.email", "c1,canary", "consent.offers.email", "true or false"),
        ("id,consent.offers.email", "c1,true", "consent_time", "write when they agreed"),
        ("id,consent.offers.email,consent_time", "c1,true,2026-03-01", "consent_time", "not a time with its offset"),
        ("id,consent.offers.email,consent_time", "c1,true,2999-03-01T00:00Z", "consent_time", "in the future"),
    ],
)
def test_what_is_wrong_with_a_cell_is_said_without_it(header: str, row: str, column: str, words: str) -> None:
    with pytest.raises(RowError) as caught:
        csv_row(header, row)
    assert column in caught.value.columns
    assert words in str(caught.value)
    assert "canary" not in str(caught.value)


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(RowError) as caught:
        csv_row("id,email,phone", "c1,x,y")
    assert caught.value.columns == ("email", "phone")


def test_json_empties_what_is_null_and_leaves_what_it_does_not_name() -> None:
    row = json_row(name=None, email="", attributes={"plan": None, "n": [1, {"a": None}]})
    assert (row.emptied, row.removed, row.attributes) == (["name", "email"], ["plan"], {"n": [1, {"a": None}]})
    assert row.texts == {}


def test_json_brings_devices_and_choices() -> None:
    row = json_row(
        devices=[{"id": "d1", "token": "t", "platform": "ios"}],
        preferences=[
            {"category": "offers", "channel": "push", "opted_in": True, "source": "app", "time": "2026-03-01T09:00:00Z"}
        ],
    )
    assert row.devices == (Device("d1", "t", "ios"),)
    assert row.choices == [Choice("offers", Channel.PUSH, True, "app", MARCH)]


@pytest.mark.parametrize(
    ("document", "column", "words"),
    [
        ({"mail": "x"}, "mail", "no such field"),
        ({"attributes": [1]}, "attributes", "must be an object"),
        ({"devices": [{"id": "d", "token": "t", "platform": "x"}]}, "devices", "a device has"),
        ({"preferences": {}}, "preferences", "must be a list"),
        ({"preferences": [{"category": "offers"}]}, "preferences", "a preference has"),
        ({"preferences": [{"category": "x", "channel": "sms", "opted_in": False}]}, "preferences", "no category 'x'"),
        ({"preferences": [{"category": "offers", "channel": "sms", "opted_in": True}]}, "preferences", "write when"),
        ({"attributes": {"a": "\0"}}, "row", "NUL"),
    ],
)
def test_what_is_wrong_with_a_line_of_json_is_said(document: dict[str, Any], column: str, words: str) -> None:
    with pytest.raises(RowError) as caught:
        json_row(**document)
    assert column in caught.value.columns
    assert words in str(caught.value)


def test_an_id_is_text_or_digits() -> None:
    assert (json_id('{"id": 42}'), json_id('{"id": "é"}')) == ("42", "é")
    for line in ("{}", '{"id": ""}', '{"id": true}', '{"id": [1]}', "[]", "{", '{"id": "' + "x" * 256 + '"}'):
        with pytest.raises(RowError):
            json_id(line)
