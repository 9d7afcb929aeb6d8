"""The rows that records become, and whose fault it is when the database refuses one."""

import base64
from typing import Any

import psycopg

from notifications.addresses import guest_id, recipient_ref
from notifications.events import Record, RejectedError, RejectReason, identify
from notifications.events.intent import NewNotification

# Data exceptions, constraint violations and program limits: the record alone can be guilty of these.
_EVENT_CLASSES = {
    "22": "holds a text, number or time that PostgreSQL cannot store",
    "23": "breaks a rule of the database",
    "54": "is too long or too deeply nested for the database",
}


def blame(error: BaseException) -> str | None:
    """What the event has wrong, in words; None where the error is the database's or ours."""
    cause = getattr(error, "orig", None) or error
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return _EVENT_CLASSES.get(state[:2])
    return _EVENT_CLASSES["22"] if isinstance(cause, (psycopg.DataError, UnicodeEncodeError)) else None


def notification_row(record: Record, new: NewNotification, hash_key: bytes) -> dict[str, Any]:
    event, definition = new.event, new.definition
    recipient = guest_id(hash_key, new.guest) if new.guest is not None else new.recipient_id
    return {
        "id": event.notification_id,
        "source": event.source,
        "event_id": event.id,
        "event_type": event.type,
        "type": definition.type,
        "definition": definition.name,
        "definition_version": definition.version,
        "category": definition.category.name,
        "recipient_id": recipient,
        "recipient_ref": recipient_ref(hash_key, recipient) if recipient is not None else "",
        "payload_hash": event.payload_hash,
        "event": {**event.attributes, "data": new.data},
        "guest": new.guest,
        "topic": record.topic,
        "event_time": event.time,
        "sendat": event.sendat,
        "expires_at": event.expirytime,
        "cancelkey": event.cancelkey,
        "traceparent": event.traceparent,
    }


def id_reused() -> RejectedError:
    return RejectedError(
        RejectReason.ID_REUSED,
        "this source and id came before with another payload: give each event an id of its own,"
        " and send a repeat unchanged",
    )


def _storable(text_: str) -> str:
    return text_.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def rejected_row(record: Record, error: RejectedError) -> dict[str, Any]:
    source, event_id, event_type = identify(record)
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "key": record.key,
        "value": record.value,
        "headers": [
            [_storable(name), base64.b64encode(value).decode() if value is not None else None]
            for name, value in record.headers
        ],
        "source": source,
        "event_id": event_id,
        "event_type": event_type,
        "reason": error.reason,
        "detail": _storable(error.detail),
    }
