"""Definitions and events for tests that need no catalogue in the database."""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from notifications.catalogue.definition import DELIVERY_DEFAULTS, Category, ConsentDefault, Definition
from notifications.catalogue.store import Catalogue
from notifications.events import Record
from notifications.events.topics import topic_for
from notifications.statuses import Channel, NotificationType, RoutingMode

SOURCE = "https://acme.example/tests"
_DATA = {
    "type": "object",
    "required": ["payment_id", "amount"],
    "additionalProperties": False,
    "properties": {
        "payment_id": {"type": "string"},
        "amount": {"type": "string", "pattern": r"^\d+\.\d{2}$"},
        "currency": {"enum": ["EUR", "USD"]},
        "receipt_url": {"type": "string", "format": "uri"},
        "lines": {"type": "array", "items": {"type": "object"}},
        "note": {},
    },
}


def definition(
    event: str = "payment.succeeded",
    kind: NotificationType = NotificationType.TRANSACTIONAL,
    *,
    data: Mapping[str, Any] | None = None,
    recipient: str = "recipient",
    version: int = 1,
) -> Definition:
    return Definition.model_validate(
        {
            "event": event,
            "type": kind,
            "category": Category(name="tests", title="Tests", default=ConsentDefault.REQUIRED),
            "recipient": recipient,
            "default_locale": "en",
            "routing": {"mode": RoutingMode.ALL, "channels": [Channel.EMAIL]},
            "delivery": DELIVERY_DEFAULTS[kind],
            "data": _DATA if data is None else data,
            "templates": {"email": {"en": {"subject": "Hello", "text": "Hello"}}},
            "version": version,
        }
    )


def catalogue(*definitions: Definition) -> Catalogue:
    return Catalogue(definitions={one.event: one for one in definitions})


CATALOGUE = catalogue(
    definition(),
    definition("security.new_login", NotificationType.ALERT, data={"type": "object"}),
    definition("appointment.reminder", NotificationType.REMINDER, data={"type": "object"}),
    definition("cart.abandoned", NotificationType.PROMOTIONAL, data={"type": "object"}),
)


def launch(recipients: Sequence[str] = ("cus_42",), *, data: Mapping[str, Any] | None = None, **attributes: Any) -> Any:
    """A valid launch of a campaign in the repository's category `offers`; `data` changes what it says."""
    whole: dict[str, Any] = {
        "name": "Spring sale",
        "category": "offers",
        "channel": "sms",
        "content": {"default_locale": "en", "templates": {"sms": {"en": {"body": "20 % off"}}}},
        "audience": {"recipients": list(recipients)},
    }
    return event(type="tidings.campaign.launch", recipient=..., data=whole | dict(data or {}), **attributes)


def call_off(campaign_id: object, **attributes: Any) -> dict[str, Any]:
    """A cancel of a campaign."""
    data = {"campaign": str(campaign_id)}
    return event(type="tidings.campaign.cancel", recipient=..., data=data, **attributes)


def unique(prefix: str = "e") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def event(**attributes: Any) -> dict[str, Any]:
    """A valid `payment.succeeded` under an id of its own; an attribute given as ... is left out."""
    whole = {
        "specversion": "1.0",
        "id": unique(),
        "source": SOURCE,
        "type": "payment.succeeded",
        "time": "2026-11-22T10:15:00Z",
        "recipient": "cus_42",
        "data": {"payment_id": "pay_1", "amount": "49.90", "currency": "EUR"},
        **attributes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def cancel(cancelkey: str, **attributes: Any) -> dict[str, Any]:
    return event(type="tidings.notification.cancel", cancelkey=cancelkey, data=..., recipient=..., **attributes)


def record(
    content: Mapping[str, Any] | bytes | None = None,
    *,
    topic: str = topic_for(NotificationType.TRANSACTIONAL),
    offset: int = 0,
    partition: int = 0,
    headers: tuple[tuple[str, bytes | None], ...] = (),
) -> Record:
    """A structured record, or one of these bytes."""
    value = json.dumps(content).encode() if isinstance(content, Mapping) else content
    return Record(topic=topic, partition=partition, offset=offset, value=value, headers=headers)


def binary(whole: Mapping[str, Any], **more: Any) -> Record:
    """The same event in binary mode."""
    headers = tuple((f"ce_{name}", str(value).encode()) for name, value in whole.items() if name != "data")
    value = json.dumps(whole["data"]).encode() if "data" in whole else None
    return record(value, headers=(*headers, ("content-type", b"application/json")), **more)
