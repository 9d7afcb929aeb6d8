"""`python -m tidings stuck list|retry|skip`: what waits for an operator, and the decision for many at once."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from activities.temporal import connect
from api.collaborators import CommandName, Workflows
from api.stuck_releases import Release, ReleaseOutcome, StuckReleases
from api.temporal_workflows import TemporalWorkflows
from notifications.durations import parse_duration
from notifications.queries.stuck import StuckFilter, StuckMessage, find_stuck
from notifications.settings import Settings, load_settings
from notifications.statuses import Channel
from tidings.answers import console
from tidings.surroundings import CommandError, failing_in_one_line, open_sessions

_TIME = "%Y-%m-%d %H:%M:%S"
_WORDS = {
    ReleaseOutcome.DONE: "done",
    ReleaseOutcome.NOT_STUCK: "not stuck any more",
    ReleaseOutcome.GONE: "without a running workflow: see docs/operations/stuck.md",
    ReleaseOutcome.UNANSWERED: "without an answer: is an orchestrator running? It may still be carried out",
    ReleaseOutcome.UNAVAILABLE: "not asked, since Temporal does not answer: run `python -m tidings doctor`",
    ReleaseOutcome.NOT_ASKED: "not asked, since the run was broken off: run the same command again",
}


class Action(StrEnum):
    LIST = "list"
    RETRY = "retry"
    SKIP = "skip"


def stuck(
    *,
    action: Annotated[Action, typer.Argument(help="list, retry or skip.")],
    provider: Annotated[str | None, typer.Option("--provider", help="Those at this provider.")] = None,
    channel: Annotated[Channel | None, typer.Option("--channel", help="Those on this channel.")] = None,
    definition: Annotated[str | None, typer.Option("--definition", help="Those of this definition.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="Stuck for at most so long: 30m, 1h, 2d.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Retry or skip without choosing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """List stuck messages with their reason, send them again, or give them up; at most 20 a second.

    Ends with status 1 where a message was neither released nor found to be stuck no more.
    """
    with failing_in_one_line():
        age = parse_duration(since) if since is not None else None
        wanted = StuckFilter(
            provider=provider, channel=channel, definition=definition, since=datetime.now(UTC) - age if age else None
        )
        if action is not Action.LIST and wanted == StuckFilter() and not everything:
            raise CommandError("choose with --provider, --channel, --definition or --since; or say --all")
        asyncio.run(_run(load_settings(), action, wanted, dry_run=dry_run, as_json=as_json))


async def _run(settings: Settings, action: Action, wanted: StuckFilter, *, dry_run: bool, as_json: bool) -> None:
    async with open_sessions(settings) as sessions:
        messages = [message async for message in find_stuck(sessions, wanted)]
    if action is Action.LIST or dry_run:
        _show(messages, action, as_json=as_json)
        return
    try:
        workflows = TemporalWorkflows(await connect())
    except RuntimeError:
        raise CommandError("Temporal does not answer, nothing was done: run `python -m tidings doctor`") from None
    releases = await release(workflows, messages, CommandName(action), quiet=as_json)
    _end(action, releases, as_json=as_json)


async def release(
    workflows: Workflows, messages: Sequence[StuckMessage], name: CommandName, *, quiet: bool
) -> list[Release]:
    """Release them, with a progress bar on stderr unless `quiet`."""
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=quiet,
    )
    releases: list[Release] = []
    with bar:
        task = bar.add_task(name.value, total=len(messages))
        async for one in StuckReleases(workflows).release(messages, name):
            releases.append(one)
            bar.advance(task)
    return releases


def _document(message: StuckMessage) -> dict[str, Any]:
    times = {"stuck_since": message.stuck_since.isoformat(), "expires_at": message.expires_at.isoformat()}
    return asdict(message) | {"notification_id": str(message.notification_id)} | times


def _show(messages: Sequence[StuckMessage], action: Action, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"count": len(messages), "messages": [_document(one) for one in messages]}, indent=2))
        return
    out = console()
    for one in messages:
        left = one.expires_at - datetime.now(UTC)
        out.print(Text(f"{one.notification_id}  {one.seq}  {one.channel:<9} {one.provider or '-':<9} {one.definition}"))
        facts = f"   {one.stuck_reason}, since {one.stuck_since.strftime(_TIME)}, expires in {_short(left)}"
        out.print(Text(facts, style="dim"))
    groups = Counter((one.channel, one.provider or "-", one.stuck_reason) for one in messages)
    for (channel, provider, reason), count in groups.most_common():
        out.print(Text(f"{count:>6}  {channel}, {provider}: {reason}"))
    would = "" if action is Action.LIST else f" would be told to {action}; nothing was done"
    out.print(Text(f"{len(messages)} stuck message{'' if len(messages) == 1 else 's'}{would}", style="bold"))


def _short(left: timedelta) -> str:
    hours, minutes = divmod(max(0, int(left.total_seconds() // 60)), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _end(action: Action, releases: Sequence[Release], *, as_json: bool) -> None:
    counts = Counter(one.outcome for one in releases)
    if as_json:
        outcomes = [_document(one.message) | {"outcome": one.outcome.value} for one in releases]
        numbers = {outcome.value: counts[outcome] for outcome in ReleaseOutcome}
        typer.echo(json.dumps({"command": action.value, "count": len(releases), **numbers, "messages": outcomes}))
    else:
        out = console()
        out.print(Text(f"{action}: {len(releases)} stuck message{'' if len(releases) == 1 else 's'}", style="bold"))
        for outcome in ReleaseOutcome:
            if counts[outcome]:
                out.print(Text(f"{counts[outcome]:>6}  {_WORDS[outcome]}"))
    if counts.keys() - {ReleaseOutcome.DONE, ReleaseOutcome.NOT_STUCK}:
        raise typer.Exit(1)
