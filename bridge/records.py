"""A message of confluent-kafka as a record of the domain."""

from typing import Any

from confluent_kafka import Message

from notifications.events import Record


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
    )


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value


def _whole(number: int | None) -> int:
    if number is None:
        message = "Kafka delivered a record without a place"
        raise ValueError(message)
    return number
