"""`python -m tidings test-send DEFINITION --channel C --to ADDRESS`: one rendered example through a real provider.

It stands outside the ledger: nothing is recorded, retried or published, and no consent is asked.
"""

# ruff: noqa: PT028 - a command with options, not a test

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.text import Text

from notifications.addresses import normalise_email, normalise_phone, require_hash_key
from notifications.catalogue.definition import Definition
from notifications.catalogue.store import Catalogue, CatalogueStore
from notifications.masking import mask
from notifications.providers.base import Content, DeliveryError
from notifications.rendering.render import RenderContext, Renderer
from notifications.settings import Settings, load_settings
from notifications.statuses import Channel, NotificationType
from notifications.trials import send_trial
from notifications.unsubscribe import MessageLinks, Subject, UnsubscribeLinks, with_headers
from tidings.answers import console
from tidings.surroundings import CommandError, failing_in_one_line, open_sessions

_RECIPIENT = {"id": "test-recipient", "name": "Test Recipient"}


@dataclass(frozen=True, kw_only=True)
class Tested:
    definition: str
    channel: str
    provider: str
    to: str
    provider_message_id: str | None
    seconds: float
    sandbox: str | None


def test_send(
    definition: Annotated[str, typer.Argument(help="A published definition.")],
    channel: Annotated[Channel, typer.Option("--channel", help="One of its channels.")],
    to: Annotated[str, typer.Option("--to", help="E-mail address, E.164 number or device token.")],
    locale: Annotated[str | None, typer.Option("--locale", help="The recipient's language, such as de-AT.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Render a definition's example and send it through the first provider of the channel, without the ledger.

    In development only addresses in TIDINGS_DEV_ALLOW_RECIPIENTS reach a real provider; others go to the sandbox.
    """
    with failing_in_one_line():
        tested = asyncio.run(_run(load_settings(), definition, channel, _checked(channel, to), locale))
    if as_json:
        typer.echo(json.dumps(tested.__dict__, ensure_ascii=False))
        return
    out = console()
    out.print(Text.assemble(("accepted", "bold green"), f" by {tested.provider} for {tested.to}"))
    if tested.provider_message_id is not None:
        out.print(Text(f"its id there: {tested.provider_message_id}"))
    if tested.sandbox is not None:
        out.print(Text(f"unless TIDINGS_DEV_ALLOW_RECIPIENTS names the address, it is in the inbox: {tested.sandbox}"))


def _checked(channel: Channel, to: str) -> str:
    """The address in the spelling that providers take; raises ValueError with what to mend."""
    if channel is Channel.PUSH:
        return to
    return normalise_email(to) if channel is Channel.EMAIL else normalise_phone(to)


async def _run(settings: Settings, name: str, channel: Channel, to: str, locale: str | None) -> Tested:
    async with open_sessions(settings) as sessions:
        catalogue = await CatalogueStore(sessions).current()
    found = _definition(catalogue, name, channel)
    content = _rendered(settings, found, channel, catalogue.example(name) or {}, locale)
    try:
        trial = await send_trial(settings, channel, content, to)
    except DeliveryError as error:
        provider = settings.providers_of(channel)[0]
        raise CommandError(f"{provider} did not accept it: {error}") from error
    return Tested(
        definition=found.name,
        channel=channel.value,
        provider=trial.provider,
        to=mask(channel, to),
        provider_message_id=trial.provider_message_id,
        seconds=trial.seconds,
        sandbox=settings.dev_sandbox_url,
    )


def _definition(catalogue: Catalogue, name: str, channel: Channel) -> Definition:
    found = catalogue.find(name)
    if found is None:
        nearest = catalogue.nearest(name)
        hint = f"did you mean {nearest}?" if nearest else "publish it with `python -m tidings apply catalogue/`"
        raise CommandError(f"no definition {name!r} is published: {hint}")
    if not found.templates.of(channel):
        written = ", ".join(item.value for item in Channel if found.templates.of(item))
        raise CommandError(f"{found.name} has no template for {channel}: it has {written}")
    return found


def _links(settings: Settings, found: Definition, channel: Channel) -> MessageLinks | None:
    """Real ones, so that the button of a mail program can be tried: it unsubscribes nobody but the test recipient."""
    if found.type is not NotificationType.PROMOTIONAL:
        return None
    links = UnsubscribeLinks.of(settings, require_hash_key(settings.hash_key))
    return links.make(Subject(_RECIPIENT["id"], found.category.name, channel))


def _rendered(
    settings: Settings, found: Definition, channel: Channel, example: Mapping[str, Any], locale: str | None
) -> Content:
    event = dict(example)
    data = dict(event.pop("data", None) or {})
    guest = data.pop("recipient", None) or {}
    recipient = {**_RECIPIENT, **guest}
    links = _links(settings, found, channel)
    variables = links.variables() if links is not None else None
    context = RenderContext(data=data, recipient=recipient, event=event, locale=locale, links=variables)
    content = Renderer().render(found, channel, context)
    return with_headers(content, links) if links is not None else content
