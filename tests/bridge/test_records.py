"""Whatever librdkafka hands over becomes a record."""

from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE

from bridge.records import record_of


class _Message:
    """As confluent-kafka's, whose class cannot be made by hand."""

    def __init__(
        self,
        headers: Any = None,
        value: bytes | None = b"{}",
        timestamp: tuple[int, int] = (TIMESTAMP_NOT_AVAILABLE, 0),
    ) -> None:
        self._headers, self._value, self._timestamp = headers, value, timestamp

    def timestamp(self) -> tuple[int, int]:
        return self._timestamp

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 7

    def key(self) -> None:
        return None

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Any:
        if isinstance(self._headers, Exception):
            raise self._headers
        return self._headers


def test_a_message_is_copied() -> None:
    found = record_of(_Message([("ce_id", b"1"), ("x", None)], None))  # type: ignore[arg-type]
    assert (found.topic, found.partition, found.offset, found.key, found.value) == ("t", 3, 7, None, None)
    assert found.headers == (("ce_id", b"1"), ("x", None))


def test_header_names_that_are_no_text_do_not_stop_the_partition() -> None:
    # what confluent-kafka 2.16 raises for the bytes ff fe in a header's name, seen on Apache Kafka 4.3
    unreadable = SystemError("<method 'headers'> returned a result with an exception set")
    assert record_of(_Message(unreadable)).headers == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("timestamp", "written_at"),
    [
        ((TIMESTAMP_CREATE_TIME, 1795342500000), datetime(2026, 11, 22, 10, 15, tzinfo=UTC)),
        ((TIMESTAMP_NOT_AVAILABLE, 0), None),
        ((TIMESTAMP_CREATE_TIME, -1), None),
        ((TIMESTAMP_CREATE_TIME, 2**63 - 1), None),
    ],
    ids=["a time", "none", "before all times", "after all times"],
)
def test_when_it_was_written_is_known_where_somebody_says_so(
    timestamp: tuple[int, int], written_at: datetime | None
) -> None:
    assert record_of(_Message(timestamp=timestamp)).written_at == written_at  # type: ignore[arg-type]
