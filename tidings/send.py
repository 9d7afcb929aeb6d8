"""`python -m tidings send`: produce one event to Kafka, and say where to follow it."""

import asyncio
import json
import os
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.text import Text

from api.event_intake import HEADERS, route_of
from api.links import Links
from api.schemas.events import EventAnswer
from bridge.kafka_settings import kafka_config
from bridge.producer import EventProducer
from notifications.campaigns.events import check_launch
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions
from notifications.events import Record, identify, parse
from notifications.events.intent import CAMPAIGN_CANCEL, CANCEL, LAUNCH, CampaignLaunch, Interpreter
from notifications.ids import event_uuid
from notifications.settings import Settings, load_settings
from notifications.statuses import CampaignState, NotificationStatus
from tidings.answers import console, show_answer
from tidings.composing import Wish, compose
from tidings.following import follow, state_of
from tidings.surroundings import CommandError, failing_in_one_line, open_sessions


@dataclass(frozen=True, kw_only=True)
class Addressed:
    """A record and where it goes; `makes` is what can be followed (a cancel makes nothing)."""

    value: bytes
    topic: str
    key: str | None
    source: str | None
    id: str | None
    makes: Literal["notification", "campaign"] | None

    def check_followable(self) -> None:
        """Say so before anything is sent.

        Raises:
            CommandError: there would be nothing to follow.

        """
        if self.makes is None:
            raise CommandError("--wait follows what is sent, and a cancel sends nothing: leave --wait out")
        if self.source is None or self.id is None:
            raise CommandError("--wait needs an event whose source and id can be read: leave --wait out")


@dataclass(frozen=True, kw_only=True)
class Sent:
    id: str | None
    source: str | None
    notification_id: str | None
    campaign_id: str | None
    topic: str
    partition: int
    offset: int
    links: dict[str, str]


def send(
    *,
    event_type: Annotated[str | None, typer.Option("--type", help="The event's type.")] = None,
    recipient: Annotated[str | None, typer.Option("--recipient", help="The recipient's external id.")] = None,
    data: Annotated[str | None, typer.Option("--data", help="The event's data, as JSON.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="Who sends it.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Its id; a fresh one if left out.")] = None,
    sendat: Annotated[str | None, typer.Option("--sendat", help="Not before: RFC 3339 with offset.")] = None,
    expirytime: Annotated[str | None, typer.Option("--expirytime", help="Not after: RFC 3339 with offset.")] = None,
    cancelkey: Annotated[str | None, typer.Option("--cancelkey", help="A handle to cancel it by.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="A file with the event; - is standard input.")] = None,
    example: Annotated[str | None, typer.Option("--example", help="Send this definition's example.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Produce here, without any check.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds that --wait waits.", min=0)] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Send an event from flags, a file or a definition's example; flags replace what the file or example says.

    With --wait, ends with status 0 where a message was accepted; of a `tidings.campaign.launch`, where the campaign has
    completed. What is not over after --timeout goes on; the status is 1 then.
    """
    given = {"type": event_type, "recipient": recipient, "source": source, "id": event_id}
    given |= {"sendat": sendat, "expirytime": expirytime, "cancelkey": cancelkey}
    attributes = {name: value for name, value in given.items() if value is not None}
    with failing_in_one_line():
        wish = Wish(attributes=attributes, data=data, file=file, example=example, topic=topic)
        asyncio.run(_run(load_settings(), wish, seconds=timeout if wait else None, as_json=as_json))


async def _run(settings: Settings, wish: Wish, *, seconds: float | None, as_json: bool) -> None:
    links = Links.of(settings)
    async with AsyncExitStack() as stack:
        sessions = None
        if wish.topic is None or wish.example is not None or seconds is not None:
            sessions = await stack.enter_async_context(open_sessions(settings))
        addressed = await address(wish, sessions)
        if seconds is not None:
            addressed.check_followable()
        sent = await _produce(addressed, links)
        if not as_json:
            _tell(sent, is_cancel=addressed.makes is None)
        answer = None
        if seconds is not None and sessions is not None and sent.source and sent.id:
            told = (lambda _: None) if as_json else _tell_change
            answer = await follow(sessions, links, sent.source, sent.id, seconds=seconds, changed=told)
    _end(sent, answer, as_json=as_json)


async def address(wish: Wish, sessions: Sessions | None) -> Addressed:
    """Compose the event and find its topic; only a topic that is given spares the check.

    Raises:
        CommandError: what was asked for cannot be composed.
        RejectedError: the event is wrong; says what to mend.

    """
    catalogue = await CatalogueStore(sessions).current() if sessions is not None else None
    value = compose(wish, catalogue)
    record = Record(value=value, headers=HEADERS)
    if wish.topic is not None or catalogue is None:
        source, event_id, event_type = identify(record)
        return Addressed(
            value=value,
            topic=wish.topic or "",
            key=wish.attributes.get("recipient"),
            source=source,
            id=event_id,
            makes=_made_by(event_type),
        )
    event = parse(record)
    intent = Interpreter().interpret(event, catalogue, topic=None)
    if isinstance(intent, CampaignLaunch) and sessions is not None:
        async with sessions() as session:
            await check_launch(session, event, catalogue)
    topic, key = route_of(event, intent)
    return Addressed(
        value=value,
        topic=topic,
        key=key,
        source=event.source,
        id=event.id,
        makes=_made_by(event.type),
    )


def _made_by(event_type: str | None) -> Literal["notification", "campaign"] | None:
    """What is not known to be a command may make a notification."""
    if event_type == LAUNCH:
        return "campaign"
    return None if event_type in {CANCEL, CAMPAIGN_CANCEL} else "notification"


async def _produce(addressed: Addressed, links: Links) -> Sent:
    async with EventProducer(kafka_config(os.environ), delivery_timeout=15.0) as producer:
        partition, offset = await producer.produce(addressed.topic, addressed.key, addressed.value, HEADERS)
    where: dict[str, str] = {}
    made = None
    if addressed.makes is not None and addressed.source and addressed.id:
        made = event_uuid(addressed.source, addressed.id)
        where = {"explain": links.event(addressed.source, addressed.id)}
        if addressed.makes == "campaign":
            where |= {"campaign": links.campaign(made)}
        else:
            where |= {"notification": links.notification(made), "workflow": links.workflow(made)}
    return Sent(
        id=addressed.id,
        source=addressed.source,
        notification_id=str(made) if made and addressed.makes == "notification" else None,
        campaign_id=str(made) if made and addressed.makes == "campaign" else None,
        topic=addressed.topic,
        partition=partition,
        offset=offset,
        links=where,
    )


def _tell(sent: Sent, *, is_cancel: bool) -> None:
    out = console()
    out.print(Text.assemble(("produced", "bold green"), f" to {sent.topic}[{sent.partition}] at {sent.offset}"))
    if sent.notification_id is not None:
        out.print(Text(f"notification  {sent.notification_id}"))
        out.print(Text(f"workflow      {sent.links['workflow']}"))
    if sent.campaign_id is not None:
        out.print(Text(f"campaign      {sent.campaign_id}"))
        out.print(Text(f"watch it: python -m tidings campaign watch {sent.campaign_id}"))
    if sent.id is None:
        return
    if is_cancel:
        out.print(Text("what became of it: look at what it cancels"))
        out.print(Text(f"whether it was rejected: python -m tidings explain {sent.id}"))
    else:
        out.print(Text(f"what became of it: python -m tidings explain {sent.id}"))


def _tell_change(answer: EventAnswer) -> None:
    said = f": {answer.explanation}" if answer.campaign is None else ""
    console().print(Text(f"  {state_of(answer).replace('_', ' ')}{said}", style="dim"))


def _end(sent: Sent, answer: EventAnswer | None, *, as_json: bool) -> None:
    """Status 1 where it was followed, and nothing was accepted or the campaign has not completed."""
    if as_json:
        outcome = {"outcome": answer.model_dump(mode="json")} if answer is not None else {}
        typer.echo(json.dumps(asdict(sent) | outcome, indent=2, ensure_ascii=False))
    elif answer is not None:
        show_answer(console(), answer)
        if answer.campaign is not None and not answer.campaign.state.is_final:
            console().print(Text("the campaign goes on", style="yellow"))
    if answer is not None and not _went_well(answer):
        raise typer.Exit(1)


def _went_well(answer: EventAnswer) -> bool:
    if answer.campaign is not None:
        return answer.campaign.state is CampaignState.COMPLETED
    return answer.notification is not None and answer.notification.status is NotificationStatus.DONE
