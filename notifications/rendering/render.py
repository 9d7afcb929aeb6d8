"""From a definition and an event to what a provider sends, one channel at a time."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jinja2 import Template

from notifications.catalogue.definition import (
    Definition,
    EmailTemplate,
    PushTemplate,
    SenderIdentity,
    WhatsAppTemplate,
)
from notifications.profiles.profile import Profile
from notifications.providers.base import Content, EmailContent, PushContent, SmsContent, WhatsAppContent
from notifications.rendering import language, text
from notifications.rendering.environment import Sources, TemplateEnvironment
from notifications.rendering.errors import RenderError, at_source, describe
from notifications.rendering.locales import formatting, resolve
from notifications.rendering.sms_segments import plain, segment
from notifications.rendering.sources import ChannelTemplate, Renderable, part_name, parts
from notifications.statuses import Channel

__all__ = ["RenderContext", "RenderError", "Renderer", "recipient_view"]

_KEPT_TEMPLATES = 500
_MAX_SMS = 1_600  # characters that Twilio and SNS take

_Part = tuple[str | int, ...]
_NO_RECIPIENT: Mapping[str, Any] = {"id": None, "name": None, "locale": None, "timezone": None, "attributes": {}}
_EVENT = ("id", "source", "type", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderContext:
    """What templates see. `recipient` is `recipient_view(profile)` or the event's guest block.

    `locale` is the BCP 47 tag that the recipient wants; None takes the recipient's own, then the default.
    `sender` is that of a campaign's category; None takes the definition's own.
    `links` are those by which a promotional message can be stopped; without them the name is undefined.
    """

    data: Any
    recipient: Mapping[str, Any] = field(default_factory=dict)
    event: Mapping[str, Any] = field(default_factory=dict)
    locale: str | None = None
    sender: SenderIdentity | None = None
    links: Mapping[str, str] | None = None

    def with_locale(self, locale: str) -> "RenderContext":
        return replace(self, locale=locale)


def recipient_view(profile: Profile) -> dict[str, Any]:
    """The part of a profile that templates see: no addresses."""
    return {
        "id": profile.recipient_id,
        "name": profile.name,
        "locale": profile.locale,
        "timezone": profile.timezone,
        "attributes": dict(profile.attributes),
    }


@dataclass(frozen=True, slots=True)
class _Compiled:
    template: ChannelTemplate
    sources: Mapping[str, str]
    parts: Mapping[_Part, Template]


class Renderer:
    """Keeps what it compiled, by version, channel and locale; compiling costs a hundred renderings."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[tuple[str, str, int, Channel, str], _Compiled] = OrderedDict()

    def render(self, definition: Renderable, channel: Channel, context: RenderContext) -> Content:
        """The message for one channel.

        Raises:
            RenderError: with the file and the line; it never holds a value of the data.

        """
        locale, variables = _variables(definition, channel, context)
        compiled = self._get(definition, channel, locale)
        sender = context.sender or _sender_of(definition)
        rendering = _Rendering(definition, channel, locale, compiled, variables, sender)
        return rendering.content()

    def _get(self, definition: Renderable, channel: Channel, locale: str) -> _Compiled:
        key = (definition.kind, definition.name, definition.version, channel, locale)
        if key in self._compiled:
            self._compiled.move_to_end(key)
            return self._compiled[key]
        compiled = _compile(definition, channel, locale)
        if definition.version:  # an unpublished one may change under the same name
            self._compiled[key] = compiled
            if len(self._compiled) > _KEPT_TEMPLATES:
                self._compiled.popitem(last=False)
        return compiled


def _sender_of(definition: Renderable) -> SenderIdentity:
    return definition.category.sender if isinstance(definition, Definition) else SenderIdentity()


def _variables(definition: Renderable, channel: Channel, context: RenderContext) -> tuple[str, dict[str, Any]]:
    recipient = {**_NO_RECIPIENT, **context.recipient}
    requested = context.locale or recipient["locale"]
    available = definition.templates.of(channel)
    try:
        locale = resolve(requested, available, definition.default_locale)
    except LookupError as error:
        raise RenderError(definition.name, 1, f"{channel}: {error}") from None
    return locale, {
        "data": {} if context.data is None else context.data,
        "recipient": recipient,
        "event": {name: context.event.get(name) for name in _EVENT},
        "locale": formatting(requested, locale),
        **({} if context.links is None else {"links": context.links}),
    }


def _compile(definition: Renderable, channel: Channel, locale: str) -> _Compiled:
    template = definition.templates.of(channel)[locale]
    named = {part: (part_name(channel, locale, part), source) for part, source in parts(template)}
    sources = {**definition.layouts, **dict(named.values())}
    environment = TemplateEnvironment(Sources(sources))
    compiled: dict[_Part, Template] = {}
    for part, (name, _) in named.items():
        try:
            compiled[part] = environment.get_template(name)
            compiled[part].globals = dict(compiled[part].globals)  # a ChainMap, which each rendering would read through
        except Exception as error:  # noqa: BLE001 - whatever a template does, it is the template's error
            raise describe(error, definition, name, sources, {}) from None
    return _Compiled(template, sources, compiled)


@dataclass(frozen=True, slots=True)
class _Rendering:
    definition: Renderable
    channel: Channel
    locale: str
    compiled: _Compiled
    variables: Mapping[str, Any]
    sender: SenderIdentity

    def content(self) -> Content:
        match self.compiled.template:
            case EmailTemplate():
                return self._email()
            case PushTemplate() as template:
                return self._push(template)
            case WhatsAppTemplate() as template:
                return self._whatsapp(template)
        return self._sms()

    def _email(self) -> EmailContent:
        html = self._part("html") if ("html",) in self.compiled.parts else None
        if html is not None and text.has_unsafe_link(html):
            raise self._error("html", "a link of the e-mail is not http, https, mailto, tel, sms or cid")
        return EmailContent(
            subject=self._filled("subject", text.one_line(self._part("subject"))),
            html=html,
            text=self._filled("text", text.paragraphs(self._part("text"))),
            from_address=self.sender.from_address,
            reply_to=self.sender.reply_to,
        )

    def _push(self, template: PushTemplate) -> PushContent:
        link = self._part("link").strip() if template.link is not None else ""
        if text.is_script(link):
            raise self._error("link", "the link would run on the device: use https or the app's own scheme")
        return PushContent(
            title=self._filled("title", text.one_line(self._part("title"))),
            body=self._filled("body", text.paragraphs(self._part("body"))),
            link=link or None,
            data={key: self._part("data", key) for key in template.data},
        )

    def _sms(self) -> SmsContent:
        body = self._filled("body", plain(text.paragraphs(self._part("body"))))
        if len(body) > _MAX_SMS:
            raise self._error("body", f"the SMS has {len(body)} characters; providers take {_MAX_SMS}")
        counted = segment(body)
        return SmsContent(
            body=body, segments=counted.segments, encoding=counted.encoding, sender=self.sender.sms_sender
        )

    def _whatsapp(self, template: WhatsAppTemplate) -> WhatsAppContent:
        rendered = (self._part("parameters", index) for index in range(len(template.parameters)))
        parameters = tuple(
            self._filled("parameters", text.whatsapp_parameter(value), index) for index, value in enumerate(rendered)
        )
        return WhatsAppContent(vendor_templates=template.vendor_templates, parameters=parameters)

    def _part(self, *part: str | int) -> str:
        language.reset_budget()
        try:
            return language.bounded_text(self.compiled.parts[part].generate(self.variables))
        except Exception as error:  # noqa: BLE001 - whatever a template does, it is the template's error
            name = part_name(self.channel, self.locale, part)
            raise describe(error, self.definition, name, self.compiled.sources, self.variables) from None

    def _filled(self, part: str, rendered: str, *steps: str | int) -> str:
        if not rendered:
            raise self._error(part, "gives an empty text", *steps)
        return rendered

    def _error(self, part: str | int, message: str, *steps: str | int) -> RenderError:
        return at_source(self.definition, part_name(self.channel, self.locale, (part, *steps)), 1, message)
