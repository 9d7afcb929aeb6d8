"""Every definition of catalogue/: what it must be for the demo and the docs, and every template in each locale."""

from html.parser import HTMLParser
from typing import Any

import pytest

from notifications.catalogue.definition import ConsentDefault, Definition
from notifications.catalogue.folder import Loaded
from notifications.catalogue.publish import load_folder
from notifications.providers.base import EmailContent, PushContent, SmsContent, WhatsAppContent
from notifications.rendering.render import RenderContext, Renderer
from notifications.statuses import Channel, NotificationType, RoutingMode
from notifications.unsubscribe import SAMPLE_LINKS
from tests.notifications.catalogue.folders import CATALOGUE

_LOADED = {item.content.name: item for item in load_folder(CATALOGUE).loaded}
_CASES = [
    pytest.param(item, channel, locale, id=f"{name}-{channel}-{locale}")
    for name, item in _LOADED.items()
    for channel in Channel
    for locale in item.content.templates.of(channel)
]
_ANA = {"id": "cus_42", "name": "Ana Maier", "timezone": "Europe/Berlin"}


def _render(item: Loaded, channel: Channel, locale: str, recipient: dict[str, Any]) -> Any:
    assert item.example is not None
    event = item.example.value
    promotional = getattr(item.content, "type", NotificationType.PROMOTIONAL) is NotificationType.PROMOTIONAL
    links = SAMPLE_LINKS.variables() if promotional else None
    context = RenderContext(data=event["data"], recipient=recipient, event=event, locale=locale, links=links)
    return Renderer().render(item.content, channel, context)


class _Structure(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.language: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "html":
            self.language = dict(attrs).get("lang")
        if tag not in {"meta", "br", "img", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.mark.parametrize("recipient", [_ANA, {}], ids=["known", "bare"])
@pytest.mark.parametrize(("item", "channel", "locale"), _CASES)
def test_every_template_renders_its_example(
    item: Loaded, channel: Channel, locale: str, recipient: dict[str, Any]
) -> None:
    content = _render(item, channel, locale, recipient)
    match content:
        case EmailContent():
            structure = _Structure()
            structure.feed(content.html or "")
            assert (structure.open, structure.wrong, structure.language) == ([], [], locale)
            assert len((content.html or "").encode()) < 100_000, "Gmail clips longer ones"
            assert "\n" not in content.subject
        case SmsContent():
            assert (content.encoding, content.segments) == ("GSM-7", 1)
        case PushContent():
            assert len(content.body) <= 120, "longer ones are cut on the lock screen"
        case WhatsAppContent():
            assert content.vendor_templates["meta"]["name"]


def test_the_template_of_a_campaign_can_be_stopped_and_speaks_two_languages() -> None:
    (template,) = (item.content for item in _LOADED.values() if not isinstance(item.content, Definition))
    assert template.name == "spring-sale"
    for channel in (Channel.EMAIL, Channel.PUSH, Channel.SMS):
        assert set(template.templates.of(channel)) == {"en", "de"}
    sources = [each.text for each in template.templates.email.values()]
    sources += [each.body for each in template.templates.sms.values()]
    assert all("links.unsubscribe" in source for source in sources)


def test_the_six_examples_are_what_the_docs_say() -> None:
    definitions = {name: item.content for name, item in _LOADED.items()}
    shown = {
        name: (definition.type, definition.routing.mode, definition.routing.channels)
        for name, definition in definitions.items()
        if isinstance(definition, Definition)
    }
    everything = (Channel.PUSH, Channel.EMAIL, Channel.SMS, Channel.WHATSAPP)
    assert shown == {
        "payment.succeeded": (NotificationType.TRANSACTIONAL, RoutingMode.ALL, (Channel.PUSH, Channel.EMAIL)),
        "auth.otp": (NotificationType.TRANSACTIONAL, RoutingMode.ALL, (Channel.SMS,)),
        "order.shipped": (NotificationType.TRANSACTIONAL, RoutingMode.FALLBACK, (Channel.WHATSAPP, Channel.SMS)),
        "security.new_login": (NotificationType.ALERT, RoutingMode.ALL, everything),
        "cart.abandoned": (NotificationType.PROMOTIONAL, RoutingMode.ALL, (Channel.EMAIL,)),
        "appointment.reminder": (NotificationType.REMINDER, RoutingMode.ALL, (Channel.SMS, Channel.EMAIL)),
    }
    cart, otp, reminder = (_LOADED[name] for name in ("cart.abandoned", "auth.otp", "appointment.reminder"))
    assert isinstance(cart.content, Definition)
    assert (cart.content.category.name, cart.content.category.default) == ("offers", ConsentDefault.OPTED_OUT)
    assert isinstance(otp.content, Definition)
    assert otp.content.delivery.retry_for.total_seconds() == 120
    assert otp.content.delivery.expire_after.total_seconds() == 600
    assert reminder.example is not None
    assert {"sendat", "cancelkey", "time"} <= reminder.example.value.keys()


@pytest.mark.parametrize(
    ("locale", "subject", "line"),
    [
        ("en", "Your payment of €49.90", "Date: November 22, 2026, 11:15\u202fAM"),
        ("de", "Ihre Zahlung über 49,90 €", "Datum: 22. November 2026, 11:15"),
        ("de-AT", "Ihre Zahlung über € 49,90", "Datum: 22. November 2026, 11:15"),
        ("fr", "Your payment of €49.90", "Payment number: pay_8812"),
    ],
)
def test_a_payment_in_the_recipients_language_and_zone(locale: str, subject: str, line: str) -> None:
    content = _render(_LOADED["payment.succeeded"], Channel.EMAIL, locale, _ANA)
    assert content.subject == subject
    assert line in content.text
    assert "https://acme.example/r/8812" in content.html
