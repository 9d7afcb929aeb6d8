"""Rows for tests of the ledger, without an event or a catalogue."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from notifications.database import Sessions, transaction
from notifications.ids import payload_hash
from notifications.tables import Message, Notification


def notification_row(**changes: Any) -> Notification:
    notification_id = changes.pop("id", None) or uuid.uuid4()
    values: dict[str, Any] = {
        "id": notification_id,
        "source": "https://tests.example",
        "event_id": str(notification_id),
        "event_type": "payment.succeeded",
        "type": "transactional",
        "definition": "payment.succeeded",
        "definition_version": 1,
        "category": "payments",
        "recipient_id": f"cus-{notification_id}",
        "recipient_ref": "0011223344556677",
        "payload_hash": payload_hash(
            event_type="payment.succeeded", recipient=None, sendat=None, expirytime=None, cancelkey=None, data={}
        ),
        "event": {
            "id": str(notification_id),
            "source": "https://tests.example",
            "type": "payment.succeeded",
            "data": {},
        },
        "topic": "transactional.notifications",
    }
    return Notification(**(values | changes))


def message_row(notification: Notification, seq: int = 1, **changes: Any) -> Message:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "origin_id": notification.id,
        "seq": seq,
        "type": notification.type,
        "category": notification.category,
        "channel": "email",
        "definition": notification.definition,
        "definition_version": 1,
        "recipient_id": notification.recipient_id,
        "address": "ana@example.org",
        "address_ref": notification.id.bytes * 2,
        "locale": "en",
        "duplicates": "at_least_once",
        "retry_for": timedelta(minutes=30),
        "expires_at": now + timedelta(hours=72),
        "due_at": now,
    }
    return Message(**(values | changes))


async def insert_messages(sessions: Sessions, *, count: int = 1, **changes: Any) -> uuid.UUID:
    """A notification with `count` pending messages; returns its id."""
    notification = notification_row()
    notification_id = notification.id
    async with transaction(sessions) as session:
        session.add(notification)
        await session.flush()
        for seq in range(1, count + 1):
            session.add(message_row(notification, seq, **changes))
    return notification_id
