"""A message of confluent-kafka as a record of the domain."""

from datetime import UTC, datetime
from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from notifications.events import Record

_LAST = datetime.max.replace(tzinfo=UTC).timestamp() * 1000


def record_of(message: Message) -> Record:
    """Copy it; header names that are not UTF-8 cannot be read at all, so the record then has none."""
    headers: Any
    try:
        headers = message.headers() or []
    except (UnicodeDecodeError, SystemError):
        headers = []
    return Record(
        topic=str(message.topic()),
        partition=_whole(message.partition()),
        offset=_whole(message.offset()),
        key=_bytes(message.key()),
        value=_bytes(message.value()),
        headers=tuple((name, _bytes(value)) for name, value in headers),
        written_at=_time(*message.timestamp()),
    )


def _time(kind: int, milliseconds: int) -> datetime | None:
    """A time that no calendar has says nothing either."""
    if kind == TIMESTAMP_NOT_AVAILABLE or not 0 < milliseconds < _LAST:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _whole(number: int | None) -> int:
    if number is None:
        message = "Kafka delivered a record without a place"
        raise ValueError(message)
    return number
