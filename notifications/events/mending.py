"""A rejected record as the event that takes its place. Pure."""

import json
from collections.abc import Mapping
from typing import Any

from notifications.events.cloudevents import Record, as_document
from notifications.events.rejection import RejectedError
from notifications.events.strict_json import check_document

REPLAY_OF = "replayof"  # extension attribute: the place of the record that an event stands for


def place_of(topic: str, partition: int, offset: int) -> str:
    """How `replayof` names a record: where it is in Kafka, which anybody can look up."""
    return f"{topic}/{partition}/{offset}"


def mended(record: Record, *, event: Mapping[str, Any] | None = None, patch: Mapping[str, Any] | None = None) -> bytes:
    """A structured CloudEvent: the given one, else what came, changed by the patch (JSON Merge Patch, RFC 7396).

    Raises:
        RejectedError: what came cannot be read, so that only a whole event can take its place; or what is given
            holds text that no event may hold. Whether the result is right is for `parse` to say.

    """
    check_document(event if event is not None else patch)
    document = dict(event) if event is not None else _as_it_came(record)
    if event is None and patch is not None:
        document = _merged(document, patch)
    document[REPLAY_OF] = place_of(record.topic, record.partition, record.offset)
    return json.dumps(document, ensure_ascii=False).encode()


def _as_it_came(record: Record) -> dict[str, Any]:
    try:
        return as_document(record)
    except RejectedError as error:
        hint = "what came cannot be read, so give the whole event"
        raise RejectedError(error.reason, f"{hint} ({error.detail})") from None


def _merged(document: Any, patch: Any) -> Any:
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
