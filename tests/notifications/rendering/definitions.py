"""Definitions of one template each."""

from typing import Any

from notifications.catalogue.definition import (
    DELIVERY_DEFAULTS,
    Category,
    ConsentDefault,
    Definition,
    Routing,
    SenderIdentity,
    Templates,
)
from notifications.rendering.render import RenderContext, Renderer
from notifications.statuses import Channel, NotificationType, RoutingMode

SENDER = SenderIdentity(from_address="Acme <hello@acme.example>", reply_to="help@acme.example", sms_sender="ACME")


def definition(
    templates: dict[str, Any],
    *,
    version: int = 1,
    layouts: dict[str, str] | None = None,
    origins: dict[str, str] | None = None,
    sender: SenderIdentity = SENDER,
) -> Definition:
    return Definition(
        event="shop.event",
        type=NotificationType.TRANSACTIONAL,
        category=Category(name="shop", title="Shop", default=ConsentDefault.REQUIRED, sender=sender),
        default_locale="en",
        routing=Routing(mode=RoutingMode.ALL, channels=tuple(Channel(name) for name in templates)),
        delivery=DELIVERY_DEFAULTS[NotificationType.TRANSACTIONAL],
        data={},
        templates=Templates.model_validate(templates),
        layouts=layouts or {},
        origins=origins or {},
        version=version,
    )


def sms(body: str) -> Definition:
    return definition({"sms": {"en": {"body": body}}})


def email(html: str, text: str = "text", subject: str = "subject", layouts: dict[str, str] | None = None) -> Definition:
    return definition({"email": {"en": {"subject": subject, "html": html, "text": text}}}, layouts=layouts)


def rendered(template: Definition, data: Any = None, **context: Any) -> Any:
    """The content for the template's first channel."""
    channel = template.routing.channels[0]
    return Renderer().render(template, channel, RenderContext(data={} if data is None else data, **context))


def body(source: str, data: Any = None, **context: Any) -> str:
    """What the source gives as a push body: not escaped, not shortened."""
    push = definition({"push": {"en": {"title": "title", "body": source}}})
    text: str = rendered(push, data, **context).body
    return text
