"""A Kafka record read as a CloudEvent, structured or binary. Pure: no Kafka, no clock, no database."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from notifications.events import strict_json
from notifications.events.attributes import Attributes, check_attributes, time_of, traceparent_of
from notifications.events.rejection import RejectedError, RejectReason
from notifications.ids import event_uuid, payload_hash

MAX_RECORD_BYTES = 256 * 1024
_STRUCTURED = "application/cloudevents"
_PREFIX = "ce_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What Kafka delivered, or the body of a request (then only `value` and perhaps `headers`)."""

    topic: str = ""
    partition: int = 0
    offset: int = 0
    key: bytes | None = None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()
    written_at: datetime | None = None  # as the broker or the producer says; None: neither does

    @property
    def size(self) -> int:
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudEvent:
    """`attributes` are all that were sent; `data` is as sent, with a guest block if there is one. Times are UTC."""

    id: str
    source: str
    type: str
    attributes: Attributes
    data: Any
    time: datetime | None
    sendat: datetime | None
    expirytime: datetime | None
    recipient: str | None
    cancelkey: str | None
    partitionkey: str | None
    traceparent: str | None
    payload_hash: bytes

    @property
    def notification_id(self) -> UUID:
        return event_uuid(self.source, self.id)


def parse(record: Record) -> CloudEvent:
    """Read a record.

    Raises:
        RejectedError: the record is not a usable CloudEvent. Nothing else, whatever the bytes.

    """
    if record.size > MAX_RECORD_BYTES:
        raise RejectedError(
            RejectReason.TOO_LARGE, f"the record has {record.size} bytes; at most {MAX_RECORD_BYTES} are taken"
        )
    return _event(*_read(record))


def as_document(record: Record) -> dict[str, Any]:
    """The record in structured mode, unchecked: what a person may mend.

    Raises:
        RejectedError: it cannot be read at all.

    """
    given, data = _read(record)
    return {**given, "data": data}


def _read(record: Record) -> tuple[Mapping[str, Any], Any]:
    return _binary(record) if _is_binary(record) else _structured(record)


def _event(given: Mapping[str, Any], data: Any) -> CloudEvent:
    attributes = check_attributes(given)
    texts = {name: value for name, value in attributes.items() if isinstance(value, str)}
    event = CloudEvent(
        id=texts["id"],
        source=texts["source"],
        type=texts["type"],
        attributes=attributes,
        data=data,
        time=time_of(attributes, "time"),
        sendat=time_of(attributes, "sendat"),
        expirytime=time_of(attributes, "expirytime"),
        recipient=texts.get("recipient"),
        cancelkey=texts.get("cancelkey"),
        partitionkey=texts.get("partitionkey"),
        traceparent=traceparent_of(attributes),
        payload_hash=payload_hash(
            event_type=texts["type"],
            recipient=texts.get("recipient"),
            sendat=texts.get("sendat"),
            expirytime=texts.get("expirytime"),
            cancelkey=texts.get("cancelkey"),
            data=data,
        ),
    )
    if event.cancelkey is not None and event.time is None:
        raise RejectedError(
            RejectReason.MISSING_ATTRIBUTE,
            "an event with a cancelkey needs the attribute time: it decides which cancels apply",
        )
    return event


def _content_type(record: Record) -> str:
    for name, value in record.headers:
        if name.lower() == "content-type" and value is not None:
            return value.decode("latin-1").strip().lower()
    return ""


def _is_binary(record: Record) -> bool:
    content_type = _content_type(record)
    if content_type.startswith(f"{_STRUCTURED}-batch"):
        raise RejectedError(
            RejectReason.NOT_CLOUDEVENT, "batches are not part of the Kafka binding: send one event a record"
        )
    return not content_type.startswith(_STRUCTURED) and any(
        name.lower().startswith(_PREFIX) for name, _ in record.headers
    )


def _structured(record: Record) -> tuple[Mapping[str, Any], Any]:
    if record.value is None:
        raise RejectedError(
            RejectReason.TOMBSTONE, "the record has no value and no ce_ headers: there is nothing to notify of"
        )
    document = strict_json.loads(record.value)
    if not isinstance(document, dict):
        raise RejectedError(RejectReason.NOT_CLOUDEVENT, "the value must be a JSON object: a CloudEvent with data")
    if "specversion" not in document:
        raise RejectedError(
            RejectReason.NOT_CLOUDEVENT,
            'the value is no CloudEvent: add "specversion": "1.0", id, source and type, and put your fields into data',
        )
    data = document.pop("data", None)
    encoded = document.pop("data_base64", None)
    if encoded is not None:
        if data is not None:
            raise RejectedError(RejectReason.NOT_CLOUDEVENT, "data and data_base64 exclude each other: send data")
        data = strict_json.loads(_decoded(encoded))
    return document, data


def _decoded(encoded: Any) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise RejectedError(RejectReason.NOT_JSON, "data_base64 is not base64: send the fields in data") from None


def _binary(record: Record) -> tuple[Mapping[str, Any], Any]:
    attributes: dict[str, str] = {}
    for header, value in record.headers:
        name = header.lower().removeprefix(_PREFIX)
        if name == header.lower() or value is None:
            continue
        if name in attributes:
            raise RejectedError(RejectReason.BAD_ATTRIBUTE, "a ce_ header is given twice: send each attribute once")
        try:
            attributes[name] = value.decode()
        except UnicodeDecodeError:
            raise RejectedError(RejectReason.UNUSABLE_TEXT, "a ce_ header is not UTF-8") from None
    if record.value is None and "id" not in attributes:
        raise RejectedError(RejectReason.TOMBSTONE, "the record has neither a value nor a ce_id header")
    return attributes, strict_json.loads(record.value) if record.value else None


def identify(record: Record) -> tuple[str | None, str | None, str | None]:
    """Source, id and type as far as they can be read from a record that was rejected; never raises."""
    attributes: dict[str, Any] = {
        name.lower().removeprefix(_PREFIX): value.decode("utf-8", "replace")
        for name, value in record.headers
        if name.lower().startswith(_PREFIX) and value is not None
    }
    if not attributes and record.value is not None and len(record.value) <= MAX_RECORD_BYTES:
        try:
            document = json.loads(record.value)
        except (ValueError, RecursionError):
            document = None
        attributes = document if isinstance(document, dict) else {}
    source, event_id, event_type = (attributes.get(name) for name in ("source", "id", "type"))
    return _text(source), _text(event_id), _text(event_type)


def _text(value: Any) -> str | None:
    """Cut and made storable."""
    if not isinstance(value, str) or not value:
        return None
    return value[:255].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
