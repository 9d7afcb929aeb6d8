"""What providers report later, by webhook: one signed request in, receipts or a refusal out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from notifications.providers.base import Provider
from notifications.statuses import Channel, MessageStatus

MAX_ID_CHARACTERS = 255
_MAX_DIGITS = 19
_MAX_SEQ, _MAX_ATTEMPT = 2**63 - 1, 2**31 - 1  # as the columns take them


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """A request as it came. `url` is the public one, which the vendor called; header names are in lower case."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class SuppressReason(StrEnum):
    """Why a receipt forbids an address."""

    HARD_BOUNCE = "hard_bounce"
    COMPLAINT = "complaint"
    OPTED_OUT = "opted_out"  # of the message's category only
    STOPPED = "stopped"  # of everything on the channel, by a STOP to the vendor, until a START


@dataclass(frozen=True, slots=True)
class Correlation:
    """The attempt that a receipt is about, from the vendor's correlation slot."""

    origin_id: UUID
    seq: int
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptEvent:
    """One report about one message.

    `receipt_id` is the vendor's own, or made of what it said, so that a repeat is known as one. A complaint or an
    unsubscribe reports `delivered` (it was) and says the rest in `suppress`. `details` hold no address.
    """

    provider: str
    receipt_id: str
    provider_message_id: str | None
    correlation: Correlation | None
    status: MessageStatus
    occurred_at: datetime
    reason: str | None = None
    suppress: SuppressReason | None = None
    details: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a recipient wrote back, where it is STOP (`stops`) or START."""

    provider: str
    receipt_id: str
    channel: Channel
    address: str
    stops: bool
    received_at: datetime


class WebhookError(Exception):
    """A webhook's request that changes nothing; the text holds nothing of the request."""


class UnsignedError(WebhookError):
    """It has no signature."""


class ForgedError(WebhookError):
    """Its signature is wrong."""


class StaleError(WebhookError):
    """Its signature is right, but the time that it signs is not now."""


class UnreadableError(WebhookError):
    """Signed by the vendor, but not in the form that it documents."""


class NotConfiguredError(WebhookError):
    """The secret that would tell is not set; the text names the variable."""


class ReportingProvider(Provider, Protocol):
    """A provider whose vendor reports by webhook."""

    def parse_receipts(self, request: WebhookRequest) -> list[ReceiptEvent]:
        """Check the signature, then read; events that report nothing about a message are left out.

        Raises:
            WebhookError: it is not to be believed, or cannot be read.

        """
        ...

    def parse_replies(self, request: WebhookRequest) -> list[Reply]:
        """Check the signature, then read what a recipient wrote back; what is neither STOP nor START is left out.

        Raises:
            WebhookError: it is not to be believed, or this vendor hands on no replies.

        """
        ...

    def answer_challenge(self, query: Mapping[str, str]) -> str:
        """The answer to the vendor's question (GET) whether this address is ours.

        Raises:
            WebhookError: the question is not the vendor's, or this vendor asks none.

        """
        ...


def read_correlation(text: str | None) -> Correlation | None:
    """`OutgoingMessage.correlation` read back; None where it is not one."""
    origin, _, rest = (text or "").partition(".")
    seq, _, attempt = rest.partition(".")
    if not all(number.isascii() and number.isdecimal() and len(number) <= _MAX_DIGITS for number in (seq, attempt)):
        return None
    if int(seq) > _MAX_SEQ or int(attempt) > _MAX_ATTEMPT:
        return None
    try:
        return Correlation(UUID(origin), int(seq), int(attempt))
    except ValueError:
        return None


def read_id(value: object) -> str | None:
    """A vendor's id, if it is one that can be kept."""
    usable = isinstance(value, str) and value.isascii() and value.isprintable() and 0 < len(value) <= MAX_ID_CHARACTERS
    return value if usable and isinstance(value, str) else None
