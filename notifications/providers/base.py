"""What every provider speaks: one message in, a receipt or one of three errors out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from notifications.statuses import Channel


@dataclass(frozen=True, slots=True)
class EmailContent:
    """`headers` are extra header fields (List-Unsubscribe and the like), already free of CR and LF."""

    subject: str
    html: str | None
    text: str
    from_address: str | None = None  # an address or `Name <address>`; None: the provider's default
    reply_to: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PushContent:
    title: str
    body: str
    link: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SmsContent:
    """`segments` and `encoding` (GSM-7 or UCS-2) are what the text will cost, by 3GPP TS 23.038."""

    body: str
    segments: int
    encoding: str
    sender: str | None = None  # None: the provider's default


@dataclass(frozen=True, slots=True)
class WhatsAppContent:
    """The approved text lives at the vendor; `vendor_templates` maps a vendor to its name for it."""

    vendor_templates: Mapping[str, Mapping[str, str]]  # {"meta": {"name": ..., "language": ...}, "twilio": {...}}
    parameters: tuple[str, ...]


Content = EmailContent | PushContent | SmsContent | WhatsAppContent


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMessage:
    """One delivery to one address, rendered.

    `address` is an e-mail address, an E.164 number or a device token, by `channel`; `recipient_name` is for the
    display name of an e-mail. `ttl` is the time left until the message expires.
    """

    origin_id: UUID
    seq: int
    attempt: int
    channel: Channel
    address: str
    content: Content
    recipient_name: str | None = None
    ttl: timedelta | None = None

    @property
    def correlation(self) -> str:
        """What the correlation slot carries, so that a late receipt finds its attempt."""
        return f"{self.origin_id}.{self.seq}.{self.attempt}"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider accepted the message under `provider_message_id` (None where the vendor gives none)."""

    provider_message_id: str | None


class ErrorScope(StrEnum):
    """What a permanent error condemns."""

    RECIPIENT = "recipient"  # the address
    MESSAGE = "message"  # this content
    CONFIG = "config"  # our account, credentials or sender: an operator has to act


class DeliveryError(Exception):
    """A provider did not accept a message.

    `code` is a short machine word (`smtp_450_4.2.1`, `fcm_unavailable`, `timeout`); `detail` is for operators and
    never holds an address, a token or a body.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class TransientDeliveryError(DeliveryError):
    """Definitely not accepted, worth another try, after `retry_after` if the provider named a time.

    `outage` says that the provider could not be reached, and not that it refused this message for now.
    """

    def __init__(
        self, code: str, detail: str = "", *, retry_after: timedelta | None = None, outage: bool = False
    ) -> None:
        super().__init__(code, detail)
        self.retry_after = retry_after
        self.outage = outage


class PermanentDeliveryError(DeliveryError):
    """Will never be accepted.

    `disable_address` says that the address itself is dead (hard bounce, dead token), `opted_out` that its owner told
    the vendor to stop.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        scope: ErrorScope,
        disable_address: bool = False,
        opted_out: bool = False,
    ) -> None:
        super().__init__(code, detail)
        self.scope = scope
        self.disable_address = disable_address
        self.opted_out = opted_out


class UnknownOutcome(DeliveryError):  # noqa: N818 - not an error of the provider: nobody knows
    """The call may have been accepted: its answer was lost."""


class Provider(Protocol):
    """One vendor account for one channel. One instance per process; safe for concurrent sends."""

    name: str  # as in settings: smtp, sendgrid, fcm, twilio, meta
    channel: Channel

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        """Make one call that ends by `deadline` (a `time.monotonic()` instant), whatever the vendor does.

        Raises:
            TransientDeliveryError: connect, DNS or TLS failure, 429, SMTP refusal before the end of DATA, and the
                codes that the vendor's table lists as not processed.
            PermanentDeliveryError: the vendor's table says so.
            UnknownOutcome: any other 5xx, a time-out or a reset once the request was written.

        """
        ...

    async def check(self) -> None:
        """See whether the account answers, for `doctor`; raises DeliveryError with what is wrong."""
        ...

    async def close(self) -> None:
        """Close the connections that are kept for reuse."""
        ...
