"""A catalogue definition as data (docs/contracts: "Catalogue"). Unknown keys are errors."""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from notifications.durations import Duration
from notifications.statuses import Channel, DuplicatePolicy, NotificationType, RoutingMode


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ConsentDefault(StrEnum):
    """What holds for a recipient who never chose."""

    REQUIRED = "required"  # cannot be opted out of
    OPTED_IN = "opted_in"
    OPTED_OUT = "opted_out"


class SenderIdentity(_Model):
    """Overrides the provider's default sender for a category."""

    from_address: str | None = None
    reply_to: str | None = None
    sms_sender: str | None = None


class Category(_Model):
    name: str
    title: str
    default: ConsentDefault
    sender: SenderIdentity = SenderIdentity()


class Routing(_Model):
    """`wait_for_receipt` is how long a fallback waits for an accepted message to be reported as delivered."""

    mode: RoutingMode
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    # Left out where it is not set: definitions from before it keep their hash, and with it their version.
    wait_for_receipt: Duration | None = Field(None, exclude_if=lambda value: value is None)

    @model_validator(mode="after")
    def _each_once(self) -> "Routing":
        if len(set(self.channels)) != len(self.channels):
            message = "each channel may stand once in routing.channels"
            raise ValueError(message)
        return self


class Delivery(_Model):
    duplicates: DuplicatePolicy
    retry_for: Duration
    expire_after: Duration


_HOUR = timedelta(hours=1)
DELIVERY_DEFAULTS: Mapping[NotificationType, Delivery] = {
    NotificationType.TRANSACTIONAL: Delivery(
        duplicates=DuplicatePolicy.AT_LEAST_ONCE, retry_for=_HOUR / 2, expire_after=72 * _HOUR
    ),
    NotificationType.ALERT: Delivery(
        duplicates=DuplicatePolicy.AT_LEAST_ONCE, retry_for=_HOUR / 2, expire_after=24 * _HOUR
    ),
    NotificationType.REMINDER: Delivery(
        duplicates=DuplicatePolicy.AT_LEAST_ONCE, retry_for=_HOUR / 2, expire_after=24 * _HOUR
    ),
    NotificationType.PROMOTIONAL: Delivery(
        duplicates=DuplicatePolicy.AT_MOST_ONCE, retry_for=_HOUR / 2, expire_after=24 * _HOUR
    ),
}


class EmailTemplate(_Model):
    """Jinja2 sources; `html` and `text` are inlined from their files when the definition is read."""

    subject: str
    html: str | None = None
    text: str


class PushTemplate(_Model):
    """`link` opens on a tap, `data` is for the app."""

    title: str
    body: str
    link: str | None = None
    data: Mapping[str, str] = Field(default_factory=dict)


class SmsTemplate(_Model):
    """One text."""

    body: str


class WhatsAppTemplate(_Model):
    """The text that was approved lives at the vendor; `parameters` fill its gaps in order."""

    vendor_templates: Mapping[str, Mapping[str, str]]
    parameters: tuple[str, ...] = ()


class Templates(_Model):
    """Per channel, per locale."""

    email: Mapping[str, EmailTemplate] = Field(default_factory=dict)
    push: Mapping[str, PushTemplate] = Field(default_factory=dict)
    sms: Mapping[str, SmsTemplate] = Field(default_factory=dict)
    whatsapp: Mapping[str, WhatsAppTemplate] = Field(default_factory=dict)

    def of(self, channel: Channel) -> Mapping[str, EmailTemplate | PushTemplate | SmsTemplate | WhatsAppTemplate]:
        """The channel's templates by locale."""
        return getattr(self, channel.value)  # type: ignore[no-any-return]


class Definition(_Model):
    """One immutable version. `version` is given when it is published; 0 means not yet."""

    event: str
    aliases: tuple[str, ...] = ()
    type: NotificationType
    category: Category  # resolved from categories.yaml
    recipient: str = "recipient"  # the attribute, or a path in `data` such as data.customer_id
    default_locale: str
    routing: Routing
    delivery: Delivery
    data: Mapping[str, Any]  # JSON Schema 2020-12 of the event's `data`
    templates: Templates
    layouts: Mapping[str, str] = Field(default_factory=dict)  # layouts/email.html → source, those that templates extend
    origins: Mapping[str, str] = Field(default_factory=dict)  # email.en.html → file:line of its first line, for errors
    version: int = 0

    @property
    def kind(self) -> str:
        return "definition"

    @property
    def name(self) -> str:
        return self.event


class StandaloneTemplate(_Model):
    """A template without an event: what a campaign sends. A namespace of its own."""

    name: str
    default_locale: str
    data: Mapping[str, Any]
    templates: Templates
    layouts: Mapping[str, str] = Field(default_factory=dict)
    origins: Mapping[str, str] = Field(default_factory=dict)
    version: int = 0

    @property
    def kind(self) -> str:
        return "template"
