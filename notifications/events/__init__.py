"""Events as they come in: parsing and validation, without Kafka and without a database."""

from notifications.events.cloudevents import MAX_RECORD_BYTES, CloudEvent, Record, identify, parse
from notifications.events.intent import (
    CampaignCancel,
    CampaignLaunch,
    CancelCommand,
    DefinitionIndex,
    Intent,
    Interpreter,
    NewNotification,
)
from notifications.events.mending import REPLAY_OF, mended, place_of
from notifications.events.rejection import RejectedError, RejectReason

__all__ = [
    "MAX_RECORD_BYTES",
    "REPLAY_OF",
    "CampaignCancel",
    "CampaignLaunch",
    "CancelCommand",
    "CloudEvent",
    "DefinitionIndex",
    "Intent",
    "Interpreter",
    "NewNotification",
    "Record",
    "RejectReason",
    "RejectedError",
    "identify",
    "mended",
    "parse",
    "place_of",
]
