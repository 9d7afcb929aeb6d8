"""Whatever the bytes: an event, or a RejectedError whose text can be stored; never anything else."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from notifications.events import Record, RejectedError, identify, parse
from notifications.events.intent import Interpreter
from tests.support.events import CATALOGUE, event

_INTERPRETER = Interpreter()
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_ATTRIBUTES = ("id", "source", "type", "specversion", "recipient", "time", "sendat", "expirytime", "cancelkey", "data")
_NAMES = st.sampled_from([f"ce_{name}" for name in _ATTRIBUTES] + ["content-type", "traceparent"]) | st.text()


def _judge(record: Record) -> None:
    try:
        _INTERPRETER.interpret(parse(record), CATALOGUE, topic="transactional.notifications")
    except RejectedError as error:
        detail = error.detail
    else:
        return
    for text in (detail, *(part or "" for part in identify(record))):
        assert "\0" not in text
        assert len(text.encode()) <= 4000


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.lists(st.tuples(_NAMES, st.none() | st.binary(max_size=50)), max_size=6))
@example(b"[" * 100_000, [])
@example(b'{"specversion":"1.0","a":' + b"[" * 100_000, [])
def test_bytes(value: bytes, headers: list[tuple[str, bytes | None]]) -> None:
    _judge(Record(value=value, headers=tuple(headers)))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(_ATTRIBUTES) | st.text(), _JSON, max_size=4))
def test_documents(changes: dict[str, Any]) -> None:
    _judge(Record(value=json.dumps({**event(), **changes}).encode("utf-8", "surrogatepass")))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["payment_id", "amount", "currency", "lines", "recipient"]), _JSON))
def test_data(changes: dict[str, Any]) -> None:
    whole = event(recipient=...)
    _judge(Record(value=json.dumps({**whole, "data": {**whole["data"], **changes}}).encode()))
