"""Identifiers that producers can compute as well (docs/contracts: "Ids")."""

import hashlib
import json
from typing import Any
from uuid import UUID, uuid5

EVENT_NAMESPACE = UUID("7b0c1f5e-3c0e-4f0b-9a64-2d1f6a8e5c31")


def event_uuid(source: str, event_id: str) -> UUID:
    """The notification id of an event (for a launch event: the campaign id)."""
    return uuid5(EVENT_NAMESPACE, f"{len(source.encode())}:{source}{event_id}")


def message_id(origin_id: UUID, seq: int) -> UUID:
    """The id of message `seq` of a notification or campaign; the idempotency key given to providers."""
    return uuid5(origin_id, str(seq))


def payload_hash(
    *,
    event_type: str,
    recipient: str | None,
    sendat: str | None,
    expirytime: str | None,
    cancelkey: str | None,
    data: Any,
) -> bytes:
    """SHA-256 over what decides the notification, as the producer sent it; tells a repeat from a reused id."""
    parts = [event_type, recipient, sendat, expirytime, cancelkey, data]
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
