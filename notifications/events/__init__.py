"""Events as they come in: parsing and validation, without Kafka and without a database.

What an event wants is in `notifications.events.intent`, which needs the libraries of schemas.
"""

from notifications.events.cloudevents import MAX_RECORD_BYTES, CloudEvent, Record, identify, parse
from notifications.events.mending import REPLAY_OF, mended, place_of
from notifications.events.rejection import RejectedError, RejectReason

__all__ = [
    "MAX_RECORD_BYTES",
    "REPLAY_OF",
    "CloudEvent",
    "Record",
    "RejectReason",
    "RejectedError",
    "identify",
    "mended",
    "parse",
    "place_of",
]
