"""Why an event cannot be accepted, in a word for machines and a sentence for its sender."""

from collections.abc import Iterable
from enum import StrEnum

_MAX_DETAIL = 1000  # characters
_MAX_NAME = 64


class RejectReason(StrEnum):
    """What the event itself has wrong; each is mended by its sender."""

    NOT_JSON = "not_json"
    NOT_CLOUDEVENT = "not_cloudevent"
    TOMBSTONE = "tombstone"  # a null value without `ce_` headers
    MISSING_ATTRIBUTE = "missing_attribute"
    BAD_ATTRIBUTE = "bad_attribute"
    UNUSABLE_TEXT = "unusable_text"  # NUL, lone surrogate, control characters in an attribute
    UNUSABLE_NUMBER = "unusable_number"  # NaN, Infinity, beyond a double
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    TOO_OLD = "too_old"  # whether it was delivered is not known any more
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    UNKNOWN_CAMPAIGN = "unknown_campaign"  # a cancel names a campaign that is not there (yet)
    SCHEMA = "schema"  # `data` against the definition's schema, or a launch that cannot be a campaign
    BAD_RECIPIENT = "bad_recipient"  # the recipient, or the guest block `data.recipient`
    ID_REUSED = "id_reused"  # the same source and id came with another payload
    UNSTORABLE = "unstorable"  # the database refuses what the event holds


class RejectedError(Exception):
    """The event is wrong; `detail` tells its sender what to mend and repeats none of its values."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail if len(detail) <= _MAX_DETAIL else detail[: _MAX_DETAIL - 1] + "…"


def show_name(name: object) -> str:
    """A name the sender chose, made safe to store and print: at most 64 printable characters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in str(name)[: _MAX_NAME + 1])
    return text if len(text) <= _MAX_NAME else text[: _MAX_NAME - 1] + "…"


def show_path(parts: Iterable[object]) -> str:
    """`data.items[3].name`."""
    shown = ""
    for part in parts:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            shown += f".{show_name(part)}" if shown else show_name(part)
    return shown or "the event"
