"""`python -m tidings replay list|show|event|give-up`: what to do about events that were rejected."""

import asyncio
import getpass
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.text import Text

from api.replays import Replayer, ReplayRefusedError, UnknownRejectedError
from api.schemas.events import RejectedDetail, RejectedView
from api.schemas.replays import ReplayAnswer
from bridge.kafka_settings import kafka_config
from bridge.producer import EventProducer
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions
from notifications.events.intent import Interpreter
from notifications.queries import views
from notifications.queries.views import RejectedFilter, RejectedState
from notifications.settings import Settings, load_settings
from tidings.answers import console
from tidings.surroundings import CommandError, failing_in_one_line, open_sessions

_TIME = "%Y-%m-%d %H:%M:%S"


class Action(StrEnum):
    LIST = "list"
    SHOW = "show"
    EVENT = "event"
    GIVE_UP = "give-up"


def replay(
    *,
    action: Annotated[Action, typer.Argument(help="list, show, event (replay one) or give-up.")],
    rejected_id: Annotated[int | None, typer.Argument(help="The rejected event's number, from `list`.")] = None,
    file: Annotated[Path | None, typer.Option("--file", help="Replay this event instead: a CloudEvent.")] = None,
    patch: Annotated[str | None, typer.Option("--patch", help="Change it first: a JSON Merge Patch.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who gives it up; else who you are here.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="List those with this reason.")] = None,
    source: Annotated[str | None, typer.Option("--source", help="List those of this source.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="List replayed and given-up ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", help="List at most so many, newest first.", min=1)] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """List rejected events, show one as it came, replay one (mended or as it came), or give one up."""
    with failing_in_one_line():
        settings = load_settings()
        if action is Action.LIST:
            state = None if everything else RejectedState.OPEN
            wanted = RejectedFilter(state=state, reason=reason, source=source)
            _show_list(asyncio.run(_list(settings, wanted, limit)), as_json=as_json)
        elif rejected_id is None:
            raise CommandError(f"say which: python -m tidings replay {action} ID, with an ID from `replay list`")
        elif action is Action.SHOW:
            _show_one(asyncio.run(_find(settings, rejected_id)), as_json=as_json)
        elif action is Action.EVENT:
            _show_replay(asyncio.run(_replay(settings, rejected_id, _mend(file, patch))), as_json=as_json)
        else:
            row = asyncio.run(_give_up(settings, rejected_id, by or getpass.getuser()))
            _show(row, f"rejected event {row.id} is given up by {row.given_up_by}", as_json=as_json)


def _mend(file: Path | None, patch: str | None) -> dict[str, Any]:
    """The keyword argument of `Replayer.replay` that the options ask for."""
    if file is not None and patch is not None:
        raise CommandError("--file and --patch exclude each other: --file is the whole event")
    if file is not None:
        try:
            return {"event": _object(file.read_text(encoding="utf-8"), f"{file.name}")}
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read: {type(error).__name__}") from None
    return {"patch": _object(patch, "--patch")} if patch is not None else {}


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise CommandError(f"{name} is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    if not isinstance(found, dict):
        raise CommandError(f"{name} must be a JSON object")
    return found


async def _list(settings: Settings, wanted: RejectedFilter, limit: int) -> list[RejectedView]:
    async with open_sessions(settings) as sessions, sessions() as session:
        rows = await views.list_rejected(session, wanted, before=None, limit=limit)
        return [RejectedView.of(row) for row in rows]


async def _find(settings: Settings, rejected_id: int) -> RejectedDetail:
    async with open_sessions(settings) as sessions, sessions() as session:
        row = await views.find_rejected(session, rejected_id)
    if row is None:
        raise CommandError(f"no rejected event {rejected_id}: `python -m tidings replay list` names those there are")
    return RejectedDetail.with_record(row)


async def _replay(settings: Settings, rejected_id: int, mend: dict[str, Any]) -> ReplayAnswer:
    async with open_sessions(settings) as sessions, _replayer(sessions) as replayer:
        replayed = await replayer.replay(rejected_id, **mend)
    return ReplayAnswer.of(replayed.row, produced=replayed.produced)


async def _give_up(settings: Settings, rejected_id: int, by: str) -> RejectedView:
    async with open_sessions(settings) as sessions, _replayer(sessions) as replayer:
        return RejectedView.of(await replayer.give_up(rejected_id, by=by))


@asynccontextmanager
async def _replayer(sessions: Sessions) -> AsyncIterator[Replayer]:
    async with EventProducer(kafka_config(os.environ), delivery_timeout=15.0) as producer:
        try:
            yield Replayer(sessions, CatalogueStore(sessions), Interpreter(), producer)
        except (ReplayRefusedError, UnknownRejectedError) as error:
            raise CommandError(str(error)) from None


def _show(document: BaseModel, line: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(document.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        console().print(Text(line))


def _show_list(rows: list[RejectedView], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2, ensure_ascii=False))
        return
    out = console()
    for row in rows:
        state = f"  {row.state.value.replace('_', ' ')}" if row.state is not RejectedState.OPEN else ""
        facts = f"  {row.rejected_at.strftime(_TIME)}  {row.event_id or '-'} from {row.source or '-'}{state}"
        out.print(Text.assemble((f"{row.id}", "bold"), facts))
        out.print(Text(f"   {row.reason}: {row.detail}"))
    out.print(Text(f"{len(rows)} rejected event{'' if len(rows) == 1 else 's'}", style="dim"))


def _show_one(row: RejectedDetail, *, as_json: bool) -> None:
    lines = [
        f"rejected event {row.id}, {row.state.value.replace('_', ' ')}",
        f"from {row.topic}[{row.partition}] at {row.offset}, {row.rejected_at.strftime(_TIME)}",
        f"{row.reason}: {row.detail}",
        *(f"header {name}: {value or ''} (base64)" for name, value in row.headers),
        row.value if row.value is not None else f"{row.value_base64 or 'no value'} (base64)",
    ]
    _show(row, "\n".join(lines), as_json=as_json)


def _show_replay(answer: ReplayAnswer, *, as_json: bool) -> None:
    done = "replayed" if answer.produced else "was replayed before"
    line = f"rejected event {answer.id} {done} as {answer.replayed_as}\nwhat became of it: "
    _show(answer, f"{line}python -m tidings explain {answer.replayed_as}", as_json=as_json)
