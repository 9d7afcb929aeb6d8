"""Templates as they would be sent: shown, or sent to somebody who wants to see them."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from api import template_drafts
from api.context import ApiContext
from api.problems import (
    ADDRESS_NOT_ALLOWED,
    CONFLICT,
    INVALID,
    NOT_ACCEPTED,
    NOT_FOUND,
    UNAVAILABLE,
    FieldError,
    ProblemError,
)
from api.schemas.templates import PreviewView, PreviewWrite, Rendered, TrialView, TrialWrite
from notifications.addresses import normalise_email, normalise_phone
from notifications.catalogue.definition import StandaloneTemplate
from notifications.catalogue.schema import data_validator, schema_problems
from notifications.catalogue.templates import TemplateBody, template_of
from notifications.events.schema import message
from notifications.masking import mask
from notifications.profiles.profile import ProfileUnavailableError
from notifications.providers.base import Content, DeliveryError, EmailContent
from notifications.providers.development import is_allowed
from notifications.queries.templates import folder_layouts
from notifications.rendering.errors import RenderError
from notifications.rendering.render import RenderContext, Renderer, recipient_view
from notifications.settings import Settings, SettingsError
from notifications.statuses import Channel
from notifications.trials import send_trial
from notifications.unsubscribe import SAMPLE_LINKS, Subject, with_headers

_ANA: Mapping[str, Any] = {"id": "cus_42", "name": "Ana Maier", "timezone": "Europe/Berlin", "attributes": {}}
# Whom the links of a test message unsubscribe, and from what: nobody, and nothing that is sent.
TEST_RECIPIENT = "test-recipient"
TEST_CATEGORY = "test messages"


@dataclass(frozen=True, slots=True)
class _Prepared:
    template: StandaloneTemplate
    data: Mapping[str, Any]
    recipient: Mapping[str, Any]

    def context(self, locale: str | None, links: Mapping[str, str]) -> RenderContext:
        return RenderContext(data=self.data, recipient=self.recipient, locale=locale, links=links)


async def preview(context: ApiContext, session: AsyncSession, name: str, wanted: PreviewWrite) -> PreviewView:
    prepared = await _prepared(context, session, name, wanted)
    channels = [wanted.channel] if wanted.channel is not None else list(Channel)
    _require(prepared.template, wanted.channel)
    chosen = wanted.locale or (prepared.recipient["locale"] if wanted.recipient is not None else None)
    items = await asyncio.to_thread(_all, prepared, channels, chosen, is_open=wanted.recipient is None)
    return PreviewView(items=items)


def _all(prepared: _Prepared, channels: list[Channel], locale: str | None, *, is_open: bool) -> list[Rendered]:
    renderer, items = Renderer(), []
    for channel in channels:
        written, default = prepared.template.templates.of(channel), prepared.template.default_locale
        in_order = sorted(written, key=lambda each: (each != default, each))
        every = in_order if is_open and locale is None else [locale or default]
        items += [_one(renderer, prepared, channel, each) for each in every if written]
    return items


def _one(renderer: Renderer, prepared: _Prepared, channel: Channel, locale: str) -> Rendered:
    context = prepared.context(locale, SAMPLE_LINKS.variables())
    try:
        content = renderer.render(prepared.template, channel, context)
    except RenderError as error:
        return Rendered(channel=channel, locale=locale, parts=None, problem=_field_error(error))
    return Rendered(channel=channel, locale=locale, parts=_parts(content), problem=None)


def _parts(content: Content) -> dict[str, Any]:
    """Without what is the sender's, which a category gives."""
    left_out = {"from_address", "reply_to", "headers"} if isinstance(content, EmailContent) else {"sender"}
    return {name: value for name, value in asdict(content).items() if name not in left_out}


async def send(context: ApiContext, name: str, wanted: TrialWrite) -> TrialView:
    """Render one text and send it, outside the ledger.

    Raises:
        ProblemError: the address is none, or none that is allowed; the text has a mistake; the provider refuses.

    """
    to = _address(context.settings, wanted.channel, wanted.to)
    async with context.sessions() as session:  # not held during the call
        prepared = await _prepared(context, session, name, wanted)
    _require(prepared.template, wanted.channel)
    links = context.unsubscribe.make(Subject(TEST_RECIPIENT, TEST_CATEGORY, wanted.channel))
    locale = wanted.locale or prepared.recipient.get("locale")
    rendering = prepared.context(locale, links.variables())
    try:
        content = await asyncio.to_thread(Renderer().render, prepared.template, wanted.channel, rendering)
        trial = await send_trial(context.settings, wanted.channel, with_headers(content, links), to)
    except RenderError as error:
        found = _field_error(error)
        raise ProblemError(INVALID, f"{found.location}: {found.message}", errors=[found.model_dump()]) from None
    except SettingsError as error:
        raise ProblemError(CONFLICT, f"the API has no provider for {wanted.channel}: {error}") from None
    except DeliveryError as error:
        raise ProblemError(NOT_ACCEPTED, str(error)) from None
    return TrialView(
        provider=trial.provider,
        to=mask(wanted.channel, to),
        provider_message_id=trial.provider_message_id,
        seconds=trial.seconds,
        sandbox=context.settings.dev_sandbox_url,
    )


def _address(settings: Settings, channel: Channel, text: str) -> str:
    """In the spelling that providers take. With a sandbox, that is where every other address leads."""
    try:
        if channel is Channel.PUSH:
            to = text
        else:
            to = normalise_email(text) if channel is Channel.EMAIL else normalise_phone(text)
    except ValueError as error:
        raise ProblemError(INVALID, f"body.to: {error}") from None
    if settings.dev_sandbox_url is None and not is_allowed(channel, to, settings.dev_allow_recipients):
        raise ProblemError(ADDRESS_NOT_ALLOWED, "the address is not among the allowed ones")
    return to


async def _prepared(
    context: ApiContext, session: AsyncSession, name: str, wanted: PreviewWrite | TrialWrite
) -> _Prepared:
    body = await template_drafts.content(session, name, wanted.version)
    template = template_of(name, body, await folder_layouts(session))
    data = body.example if wanted.data is None else wanted.data
    _check_data(body, data)
    return _Prepared(template, data, await _recipient(context, wanted.recipient))


def _check_data(body: TemplateBody, data: Mapping[str, Any]) -> None:
    try:
        orjson.dumps(dict(data))
    except TypeError:
        detail = "body.data: holds what no message can: half a surrogate pair, or a number beyond 64 bits"
        raise ProblemError(INVALID, detail) from None
    wrong = [FieldError(location=f"data.{at}", message=text) for at, text in _schema_errors(body)]
    if not wrong:
        found = data_validator(body.data).iter_errors(dict(data))
        wrong = [
            FieldError(location=".".join(map(str, ("body", "data", *error.absolute_path))), message=message(error))
            for error in found
        ]
    if wrong:
        words = "; ".join(f"{error.location}: {error.message}" for error in wrong)
        raise ProblemError(INVALID, words, errors=[error.model_dump() for error in wrong])


def _schema_errors(body: TemplateBody) -> list[tuple[str, str]]:
    return [(".".join(map(str, at)), text) for at, text in schema_problems(body.data)]


async def _recipient(context: ApiContext, recipient_id: str | None) -> Mapping[str, Any]:
    if recipient_id is None:
        return _ANA
    try:
        profile = await context.profiles.get(recipient_id)
    except ProfileUnavailableError as error:
        detail = "the external profile service does not answer"
        raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
    if profile is None:
        raise ProblemError(NOT_FOUND, f"no recipient {recipient_id}")
    return recipient_view(profile)


def _require(template: StandaloneTemplate, channel: Channel | None) -> None:
    if channel is not None and not template.templates.of(channel):
        written = ", ".join(each for each in Channel if template.templates.of(each)) or "none"
        raise ProblemError(INVALID, f"body.channel: {template.name} has no text for {channel}; it has {written}")


def _field_error(error: RenderError) -> FieldError:
    return FieldError(location=error.path, message=f"line {error.line}: {error.message}")
