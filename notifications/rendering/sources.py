"""The Jinja2 sources of a template, each under its own name: email.de.html, push.en.title, sms.en.body."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from notifications.catalogue.definition import EmailTemplate, PushTemplate, SmsTemplate, Templates, WhatsAppTemplate
from notifications.statuses import Channel

LAYOUTS = "layouts/"


class Renderable(Protocol):
    """A definition or a stand-alone template. `version` 0 is not published: nothing of it is cached."""

    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def default_locale(self) -> str: ...
    @property
    def templates(self) -> Templates: ...
    @property
    def layouts(self) -> Mapping[str, str]: ...
    @property
    def origins(self) -> Mapping[str, str]: ...


ChannelTemplate = EmailTemplate | PushTemplate | SmsTemplate | WhatsAppTemplate


def parts(template: ChannelTemplate) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Each source with its path below the locale: ("html",), ("data", "order"), ("parameters", 0)."""
    match template:
        case EmailTemplate():
            yield ("subject",), template.subject
            if template.html is not None:
                yield ("html",), template.html
            yield ("text",), template.text
        case PushTemplate():
            yield ("title",), template.title
            yield ("body",), template.body
            if template.link is not None:
                yield ("link",), template.link
            yield from ((("data", key), source) for key, source in template.data.items())
        case SmsTemplate():
            yield ("body",), template.body
        case WhatsAppTemplate():
            yield from ((("parameters", index), source) for index, source in enumerate(template.parameters))


def part_name(channel: Channel, locale: str, part: tuple[str | int, ...]) -> str:
    return ".".join([channel.value, locale, *(str(step) for step in part)])


def is_html(name: str) -> bool:
    """Whether the part or layout of this name is HTML, and so escaped."""
    return name.startswith(("email.", LAYOUTS)) and name.endswith(".html")
