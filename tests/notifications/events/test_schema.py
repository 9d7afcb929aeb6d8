"""Schema errors name the place and the rule, and never repeat the value."""

import contextlib

import pytest

from notifications.events import RejectedError
from notifications.events.schema import SchemaCache
from tests.support.events import definition

_GOOD = {"payment_id": "p", "amount": "1.00"}


def _detail(data: object, schema: dict[str, object] | None = None) -> str:
    with pytest.raises(RejectedError) as caught:
        SchemaCache().check(definition(data=schema), data)
    assert caught.value.reason == "schema"
    return caught.value.detail


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, "data must be object, not null"),
        ({"amount": "1.00"}, "data lacks payment_id"),
        ({**_GOOD, "amount": "SECRET"}, r"data.amount must match ^\d+\.\d{2}$"),
        ({**_GOOD, "amount": 1.5}, "data.amount must be string, not number"),
        ({**_GOOD, "currency": "SECRET"}, "data.currency must be one of EUR, USD"),
        ({**_GOOD, "curency": "SECRET"}, "curency (did you mean currency?)"),
        ({**_GOOD, "receipt_url": "SECRET"}, "data.receipt_url must be a uri"),
        ({**_GOOD, "lines": [{}, "SECRET"]}, "data.lines[1] must be object, not string"),
    ],
)
def test_messages(data: object, expected: str) -> None:
    detail = _detail(data)
    assert expected in detail
    assert "SECRET" not in detail


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"const": "a"}, "SECRET"),
        ({"minLength": 9}, "SECRET"),
        ({"maxLength": 2}, "SECRET"),
        ({"minimum": 9999}, 4711),
        ({"maximum": 1}, 4711),
        ({"exclusiveMinimum": 9999}, 4711),
        ({"exclusiveMaximum": 1}, 4711),
        ({"minItems": 2}, [4711]),
        ({"maxItems": 0}, [4711]),
        ({"multipleOf": 2}, 4711),
        ({"anyOf": [{"type": "null"}, {"type": "boolean"}]}, "SECRET"),
        ({"not": {}}, "SECRET"),
        ({"type": ["null", "boolean"]}, "SECRET"),
        ({"format": "date-time"}, "SECRET"),
        ({"format": "iri"}, "SECRET SECRET"),
        ({"format": "regex"}, "(SECRET"),
    ],
)
def test_no_rule_repeats_the_value(rule: dict[str, object], value: object) -> None:
    detail = _detail({"x": value}, {"properties": {"x": rule}})
    assert detail.startswith("data.x ")
    assert "SECRET" not in detail
    assert "4711" not in detail


def test_many_errors_are_counted() -> None:
    schema = {"properties": {f"f{number}": {"type": "null"} for number in range(9)}}
    assert _detail({f"f{number}": 1 for number in range(9)}, schema).endswith("; and 4 more")


def test_each_version_has_its_own_schema_and_is_compiled_once() -> None:
    cache = SchemaCache()
    cache.check(definition(data={"type": "object"}, version=1), {})
    cache.check(definition(data={"type": "array"}, version=2), [])
    with pytest.raises(RejectedError):
        cache.check(definition(data={"type": "object"}, version=1), [])


def test_a_schema_that_cannot_be_applied_names_its_owner_and_not_the_sender() -> None:
    assert "tell its owner" in _detail({}, {"$ref": "#/nowhere"})


@pytest.mark.parametrize("text", ["a" * 100_000, "(" * 5_000, "[" * 5_000, "ü:" * 5_000, "https://ü.example/ä"])
@pytest.mark.parametrize("name", ["iri", "iri-reference", "uri", "regex", "idn-hostname", "email", "uri-template"])
def test_text_of_any_length_and_form_is_judged(name: str, text: str) -> None:
    with contextlib.suppress(RejectedError):
        SchemaCache().check(definition(data={"properties": {"x": {"format": name}}}), {"x": text})
