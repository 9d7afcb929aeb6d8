"""Records in either mode become the same event, and each wrong one is told what to mend."""

import base64
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from notifications.events import MAX_RECORD_BYTES, Record, RejectedError, identify, parse
from tests.support.events import binary, event, record

_PAYMENT = {
    "specversion": "1.0",
    "id": "pay_8812-succeeded",
    "source": "https://acme.example/payments",
    "type": "payment.succeeded",
    "time": "2026-11-22T10:15:00Z",
    "datacontenttype": "application/json",
    "recipient": "cus_42",
    "partitionkey": "cus_42",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "data": {"payment_id": "pay_8812", "amount": "49.90", "currency": "EUR"},
}


def _nested(depth: int) -> bytes:
    opened = b'{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": '
    return opened + b"[" * depth + b"]" * depth + b"}"


def _raw(text: str) -> bytes:
    return f'{{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {text}}}'.encode()


def test_the_published_vector() -> None:
    found = parse(record(_PAYMENT, headers=(("content-type", b"application/cloudevents+json; charset=utf-8"),)))
    assert found.notification_id == UUID("a56453a4-7db3-5408-8b23-96f8b4313634")
    assert found.time == datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    assert (found.recipient, found.partitionkey, found.data["amount"]) == ("cus_42", "cus_42", "49.90")
    assert found.traceparent == _PAYMENT["traceparent"]


def test_both_modes_give_the_same_payload_hash() -> None:
    structured, packed = parse(record(_PAYMENT)), parse(binary(_PAYMENT))
    assert structured.payload_hash == packed.payload_hash
    assert structured.notification_id == packed.notification_id
    assert structured.data == packed.data


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"time": "2027-01-01T00:00:00Z", "subject": "x", "partitionkey": "other", "traceparent": None}, []),
        ({"sendat": "2027-01-01T00:00:00Z"}, ["sendat"]),
        ({"recipient": "cus_43"}, ["recipient"]),
        ({"data": {**_PAYMENT["data"], "amount": "50.00"}}, ["data"]),
    ],
)
def test_what_the_payload_hash_counts(changes: dict[str, object], counts: list[str]) -> None:
    assert (parse(record(_PAYMENT)).payload_hash == parse(record({**_PAYMENT, **changes})).payload_hash) is not bool(
        counts
    )


def test_a_console_producer_needs_no_headers_and_a_byte_order_mark_does_no_harm() -> None:
    assert parse(record(b"\xef\xbb\xbf" + json.dumps(_PAYMENT).encode())).id == "pay_8812-succeeded"


def test_base64_data_is_read() -> None:
    encoded = base64.b64encode(b'{"payment_id": "p"}').decode()
    assert parse(record(event(data=..., data_base64=encoded))).data == {"payment_id": "p"}


def test_a_binary_event_may_have_no_data() -> None:
    whole = event(data=...)
    assert parse(binary(whole)).data is None


def test_a_broken_trace_is_dropped_and_null_is_absent() -> None:
    found = parse(record(event(traceparent="zz", recipient=None)))
    assert (found.traceparent, found.recipient) == (None, None)


@pytest.mark.parametrize(
    ("sendat", "expected"),
    [
        ("2026-11-22T11:15:00+01:00", datetime(2026, 11, 22, 10, 15, tzinfo=UTC)),
        ("2026-11-22t10:15:00.123456789z", datetime(2026, 11, 22, 10, 15, 0, 123456, tzinfo=UTC)),
        ("2026-12-31T23:59:60Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_times(sendat: str, expected: datetime) -> None:
    assert parse(record(event(sendat=sendat))).sendat == expected


@pytest.mark.parametrize(
    ("rejected", "reason", "hint"),
    [
        (record(None), "tombstone", "no value"),
        (Record(value=None, headers=(("ce_type", b"t"),)), "tombstone", "ce_id"),
        (record(b""), "not_json", "line 1 column 1"),
        (record(b"\xff\xfe"), "not_json", "UTF-8"),
        (record(b"[1]"), "not_cloudevent", "object"),
        (record(b'{"payment_id": 1}'), "not_cloudevent", "specversion"),
        (record(event(specversion="0.3")), "not_cloudevent", "1.0"),
        (record(event(id=..., type=...)), "missing_attribute", "id and type"),
        (record(event(id="x" * 256)), "bad_attribute", "255"),
        (record(event(id="")), "bad_attribute", "empty"),
        (record(event(id=7)), "bad_attribute", "string"),
        (record(event(recipient="x" * 256)), "bad_attribute", "recipient"),
        (record(event(Recipient_Id="x")), "bad_attribute", "Recipient_Id"),
        (record(event(extra={"a": 1})), "bad_attribute", "extra"),
        (record(event(id="a\nb")), "unusable_text", "id"),
        (record(event(sendat="tomorrow")), "bad_attribute", "RFC 3339"),
        (record(event(sendat="2026-11-22T10:15:00")), "bad_attribute", "offset"),
        (record(event(sendat="2026-02-30T10:15:00Z")), "bad_attribute", "calendar"),
        (record(event(expirytime="0001-01-01T00:00:00+23:00")), "bad_attribute", "calendar"),
        (record(event(expirytime="9999-01-01T00:00:00Z")), "bad_attribute", "2199"),
        (record(event(cancelkey="k", time=...)), "missing_attribute", "time"),
        (record(_raw('"\\u0000"')), "unusable_text", "data holds a NUL"),
        (record(_raw('{"a": [{"b": "\\ud800"}]}')), "unusable_text", "data.a[0].b"),
        (record(_raw('{"\\ud800": 1}')), "unusable_text", "surrogate"),
        (record(_raw("NaN")), "unusable_number", "NaN"),
        (record(_raw("-Infinity")), "unusable_number", "Infinity"),
        (record(_raw("1e400000")), "unusable_number", "strings"),
        (record(_raw("1" * 5000)), "unusable_number", "strings"),
        (record(_nested(10_000)), "too_deep", "32"),
        (record(_nested(33)), "too_deep", "32"),
        (record(b"x" * (MAX_RECORD_BYTES + 1)), "too_large", "262144"),
        (record(event(data_base64="!")), "not_cloudevent", "exclude"),
        (record(event(data=..., data_base64="!")), "not_json", "base64"),
        (record(b"[]", headers=(("content-type", b"application/cloudevents-batch+json"),)), "not_cloudevent", "batch"),
        (Record(value=b"{}", headers=(("ce_id", b"\xff"),)), "unusable_text", "UTF-8"),
        (Record(value=b"{}", headers=(("ce_id", b"1"), ("ce_id", b"2"))), "bad_attribute", "twice"),
    ],
)
def test_rejected(rejected: Record, reason: str, hint: str) -> None:
    with pytest.raises(RejectedError) as caught:
        parse(rejected)
    assert caught.value.reason == reason
    assert hint in caught.value.detail


def test_identify_reads_what_it_can() -> None:
    assert identify(record(event(id="a\0", data=float("nan")))) == (
        "https://acme.example/tests",
        "a\ufffd",
        "payment.succeeded",
    )
    assert identify(Record(value=None, headers=(("ce_id", b"\xff"),))) == (None, "\ufffd", None)
    assert identify(record(_nested(100_000))) == (None, None, None)
    assert identify(record(b"{")) == (None, None, None)
