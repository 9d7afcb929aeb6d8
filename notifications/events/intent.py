"""What an event asks for: a notification by its definition, a cancel by key, or a command on a campaign. Pure."""

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from notifications.catalogue.definition import Definition
from notifications.events.attributes import MAX_LENGTH
from notifications.events.cloudevents import CloudEvent
from notifications.events.guests import check_guest
from notifications.events.rejection import RejectedError, RejectReason, show_name
from notifications.events.schema import SchemaCache
from notifications.events.strict_json import text_problem
from notifications.events.topics import CAMPAIGNS, may_carry, topic_for

RESERVED = "tidings."
CANCEL = "tidings.notification.cancel"
LAUNCH = "tidings.campaign.launch"
CAMPAIGN_CANCEL = "tidings.campaign.cancel"
_CAMPAIGN_COMMANDS = (LAUNCH, CAMPAIGN_CANCEL)


class DefinitionIndex(Protocol):
    """The published catalogue, as far as events need it."""

    def find(self, event_type: str) -> Definition | None: ...

    def nearest(self, event_type: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotification:
    """`data` is without the guest block; `recipient_id` is None for a guest, and where the event names nobody."""

    event: CloudEvent
    definition: Definition
    recipient_id: str | None
    guest: dict[str, str] | None
    data: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCommand:
    """Cancels every event of `source` with `cancelkey` whose time is not later than `time`."""

    source: str
    cancelkey: str
    time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignLaunch:
    """Its `data` is the campaign; whether it can be one is checked where it is stored."""

    event: CloudEvent

    @property
    def campaign_id(self) -> UUID:
        """Computed like that of a notification."""
        return self.event.notification_id


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignCancel:
    event: CloudEvent
    campaign_id: UUID


Intent = NewNotification | CancelCommand | CampaignLaunch | CampaignCancel


class Interpreter:
    """Keeps compiled schemas; one per process."""

    def __init__(self) -> None:
        self._schemas = SchemaCache()

    def interpret(self, event: CloudEvent, definitions: DefinitionIndex, *, topic: str | None) -> Intent:
        """Find the definition and check the event against it; `topic` None: it is not on one yet.

        Raises:
            RejectedError: reserved or unknown type, wrong topic, wrong recipient, or data against the schema.

        """
        if event.type.startswith(RESERVED):
            return _command(event, topic)
        definition = _definition(event, definitions)
        if topic is not None and not may_carry(topic, definition.type):
            right = topic_for(definition.type)
            detail = f"{definition.event} is {definition.type}: send it to {right}"
            raise RejectedError(RejectReason.WRONG_TOPIC, detail)
        guest, data = _guest(event)
        recipient_id = None if guest is not None else _recipient(event, definition, data)
        self._schemas.check(definition, data)
        return NewNotification(event=event, definition=definition, recipient_id=recipient_id, guest=guest, data=data)


def _command(event: CloudEvent, topic: str | None) -> Intent:
    if event.type in _CAMPAIGN_COMMANDS:
        if topic in {None, CAMPAIGNS}:
            return _launch(event) if event.type == LAUNCH else _campaign_cancel(event)
        raise RejectedError(RejectReason.WRONG_TOPIC, f"{event.type} belongs on the topic {CAMPAIGNS}: send it there")
    if event.type != CANCEL:
        raise _unknown_type(event.type, _nearest(event.type, (CANCEL, *_CAMPAIGN_COMMANDS)))
    if topic == CAMPAIGNS:
        raise RejectedError(RejectReason.WRONG_TOPIC, f"{CANCEL} belongs on a notification topic: send it to any")
    if event.cancelkey is None or event.time is None:
        missing = "cancelkey" if event.cancelkey is None else "time"
        raise RejectedError(RejectReason.MISSING_ATTRIBUTE, f"a cancel needs the attribute {missing}")
    return CancelCommand(source=event.source, cancelkey=event.cancelkey, time=event.time)


def _definition(event: CloudEvent, definitions: DefinitionIndex) -> Definition:
    definition = definitions.find(event.type)
    if definition is None:
        raise _unknown_type(event.type, definitions.nearest(event.type))
    return definition


def _nearest(event_type: str, known: Collection[str]) -> str | None:
    found = difflib.get_close_matches(event_type, known, n=1)
    return found[0] if found else None


def _unknown_type(event_type: str, nearest: str | None) -> RejectedError:
    hint = f"did you mean {nearest}?" if nearest else "publish a definition for it with `python -m tidings apply`"
    return RejectedError(RejectReason.UNKNOWN_TYPE, f"no definition has the event type {show_name(event_type)}; {hint}")


def _launch(event: CloudEvent) -> CampaignLaunch:
    if event.expirytime is not None:
        detail = "a launch takes no expirytime: say in data.expire_after how long after its start it may be sent"
        raise RejectedError(RejectReason.BAD_ATTRIBUTE, detail)
    if event.cancelkey is not None:
        detail = f"a launch takes no cancelkey: cancel it by a {CAMPAIGN_CANCEL}, or by POST /v1/campaigns/<id>/cancel"
        raise RejectedError(RejectReason.BAD_ATTRIBUTE, detail)
    return CampaignLaunch(event=event)


def _campaign_cancel(event: CloudEvent) -> CampaignCancel:
    named = event.data.get("campaign") if isinstance(event.data, dict) else None
    try:
        return CampaignCancel(event=event, campaign_id=UUID(named))
    except (TypeError, ValueError, AttributeError):
        detail = "data.campaign must be the id of a campaign, which its launch and GET /v1/campaigns give"
        raise RejectedError(RejectReason.SCHEMA, detail) from None


def _guest(event: CloudEvent) -> tuple[dict[str, str] | None, Any]:
    """The guest block and the data without it."""
    if not isinstance(event.data, dict) or "recipient" not in event.data:
        return None, event.data
    data = {name: value for name, value in event.data.items() if name != "recipient"}
    if event.data["recipient"] is None:
        return None, data
    guest = check_guest(event.data["recipient"])
    if event.recipient is not None:
        raise RejectedError(
            RejectReason.BAD_RECIPIENT, "the attribute recipient and the guest block data.recipient exclude each other"
        )
    return guest, data


def _recipient(event: CloudEvent, definition: Definition, data: Any) -> str | None:
    """The recipient that the definition's path names, else the attribute."""
    if definition.recipient == "recipient":
        return event.recipient
    value = data
    for step in definition.recipient.removeprefix("data.").split("."):
        value = value.get(step) if isinstance(value, dict) else None
    if value is None:
        return event.recipient
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _bad_recipient(definition, "must be a string")
    text = str(value)
    if not 0 < len(text) <= MAX_LENGTH or text_problem(text):
        raise _bad_recipient(definition, f"must have 1 to {MAX_LENGTH} characters")
    return text


def _bad_recipient(definition: Definition, wrong: str) -> RejectedError:
    return RejectedError(RejectReason.BAD_RECIPIENT, f"{definition.recipient} names the recipient and {wrong}")
