"""`python -m tidings explain EVENT_ID`: what became of an event, and why."""

import asyncio
import json
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text
from sqlmodel.ext.asyncio.session import AsyncSession

from api.event_intake import explain_event
from api.links import Links
from api.schemas.events import EventAnswer, EventState
from notifications.explanations import NOT_SEEN
from notifications.queries import views
from notifications.queries.campaigns import campaigns_launched_by, find_campaign
from notifications.settings import Settings, load_settings
from tidings.answers import console, show_answer
from tidings.surroundings import failing_in_one_line, open_sessions


def explain(
    event_id: Annotated[str, typer.Argument(help="The event's id, or that of its notification or campaign.")],
    source: Annotated[str | None, typer.Option("--source", help="Its source, where several use the same id.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Say whether an event was accepted, rejected or not seen, and why each channel was or was not used.

    Ends with status 0 where the event was found.
    """
    with failing_in_one_line():
        answers = asyncio.run(_look_up(load_settings(), event_id, source))
    if as_json:
        typer.echo(json.dumps(as_document(event_id, answers), indent=2, ensure_ascii=False))
    else:
        _show(event_id, answers)
    if not any(answer.state is not EventState.NOT_SEEN for answer in answers):
        raise typer.Exit(1)


async def _look_up(settings: Settings, event_id: str, source: str | None) -> list[EventAnswer]:
    async with open_sessions(settings) as sessions, sessions() as session:
        return await find_answers(session, event_id, source, Links.of(settings))


async def find_answers(session: AsyncSession, event_id: str, source: str | None, links: Links) -> list[EventAnswer]:
    """One answer per source that used the id; none where no source did."""
    if source is not None:
        return [await explain_event(session, source, event_id, links)]
    found = await views.notifications_with_event_id(session, event_id)
    rejected = await views.rejections_of(session, event_id)
    pairs = {(row.source, row.event_id) for row in found} | {(row.source, event_id) for row in rejected if row.source}
    pairs |= {(row.source, event_id) for row in await campaigns_launched_by(session, event_id) if row.source}
    its_id = _as_uuid(event_id)
    if not pairs and its_id is not None:
        row = await views.find_notification(session, its_id) or await find_campaign(session, its_id)
        pairs = {(row.source, row.event_id)} if row is not None and row.source and row.event_id else set()
    return [await explain_event(session, *pair, links) for pair in sorted(pairs)]


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def as_document(event_id: str, answers: list[EventAnswer]) -> dict[str, Any]:
    """The API's answer; where several sources used the id, all of them under `answers`."""
    if len(answers) == 1:
        return answers[0].model_dump(mode="json")
    state = "several_sources" if answers else EventState.NOT_SEEN.value
    return {"state": state, "id": event_id, "answers": [answer.model_dump(mode="json") for answer in answers]}


def _show(event_id: str, answers: list[EventAnswer]) -> None:
    out = console()
    if not answers:
        out.print(Text.assemble(("not seen", "bold yellow"), f"  event {event_id}"))
        out.print(Text(NOT_SEEN))
    elif len(answers) == 1:
        show_answer(out, answers[0])
    else:
        out.print(f"{len(answers)} sources used this id; name one with --source:")
        for answer in answers:
            out.print(Text(f"  {answer.source}  {answer.state.value.replace('_', ' ')}"))
