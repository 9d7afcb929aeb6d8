"""`python -m tidings campaign ...`: a campaign from its file to its report, over the API."""

import asyncio
import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from notifications.settings import Settings, load_settings
from notifications.statuses import CampaignState, MessageStatus
from tidings import campaign_answers as answers
from tidings.api_client import open_api
from tidings.campaign_bar import Bar
from tidings.campaigning import Campaigning
from tidings.surroundings import CommandError, failing_in_one_line

_INTERRUPTED = 130  # as a shell has it for Ctrl-C


class Action(StrEnum):
    CREATE = "create"
    LIST = "list"
    DRY_RUN = "dry-run"
    LAUNCH = "launch"
    RESCHEDULE = "reschedule"
    WATCH = "watch"
    PAUSE = "pause"
    RESUME = "resume"
    RATE = "rate"
    CANCEL = "cancel"
    RETRY_FAILED = "retry-failed"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for."""

    action: Action
    what: str | None
    at: str | None
    per_second: float | None
    unlimited: bool
    state: CampaignState | None
    export: Path | None
    status: MessageStatus | None
    key: str | None
    by: str
    as_json: bool

    @property
    def campaign(self) -> str:
        try:
            return str(UUID(self.what or ""))
        except ValueError:
            said = f"{self.what} is no id of a campaign" if self.what else "name the campaign by its id"
            raise CommandError(f"{said}: `python -m tidings campaign list` shows them") from None

    def check(self) -> None:
        """Nothing is asked of the API that was asked for wrongly.

        Raises:
            CommandError: something is missing, or belongs to another action.

        """
        for option, is_given, actions in (
            ("--at", self.at is not None, {Action.LAUNCH, Action.RESCHEDULE}),
            ("--per-second", self.per_second is not None, {Action.RATE}),
            ("--unlimited", self.unlimited, {Action.RATE}),
            ("--state", self.state is not None, {Action.LIST}),
            ("--export", self.export is not None, {Action.REPORT}),
            ("--key", self.key is not None, {Action.CREATE}),
        ):
            if is_given and self.action not in actions:
                raise CommandError(f"{option} is for {' and '.join(sorted(actions))}, not for {self.action}")
        if self.status is not None and self.export is None:
            raise CommandError("--status chooses what --export writes: say --export messages.csv too")
        if self.action is Action.RATE and (self.per_second is None) is not self.unlimited:
            raise CommandError("say either --per-second 200 or --unlimited")
        if self.action is Action.RESCHEDULE and self.at is None:
            raise CommandError("say when: --at 2027-03-01T09:00:00+01:00")
        if self.action is Action.CREATE and self.what is None:
            raise CommandError("name a JSON file with the campaign: docs/how-to/campaigns.md has one")
        if self.action not in {Action.CREATE, Action.LIST}:
            self.campaign  # noqa: B018 - for its error

    def document(self) -> Any:
        """The campaign as it was written."""
        if self.what == "-":
            text = typer.get_text_stream("stdin").read()
        else:
            text = Path(self.what or "").read_text(encoding="utf-8")
        try:
            return json.loads(text)
        except ValueError as error:
            raise CommandError(f"{self.what} is not JSON: {error}") from None

    def body(self) -> dict[str, Any] | None:
        """Of a command."""
        if self.action is Action.RATE:
            return {"per_second": self.per_second}
        return {"at": self.at} if self.at is not None else None


def campaign(
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.LIST,
    what: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|ID]", help="create: a JSON file, - for stdin; else the campaign's id."),
    ] = None,
    *,
    at: Annotated[str | None, typer.Option("--at", help="launch, reschedule: 2027-03-01T09:00:00+01:00.")] = None,
    per_second: Annotated[float | None, typer.Option("--per-second", help="rate: so many a second at most.")] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="rate: as fast as the providers take it.")] = False,
    state: Annotated[CampaignState | None, typer.Option("--state", help="list: those in this state.")] = None,
    export: Annotated[Path | None, typer.Option("--export", help="report: its messages to .csv or .ndjson.")] = None,
    status: Annotated[MessageStatus | None, typer.Option("--status", help="--export: those with this status.")] = None,
    key: Annotated[str | None, typer.Option("--key", help="create: the same key again is the same campaign.")] = None,
    by: Annotated[str, typer.Option("--by", help="Who asks, for the log.")] = "command line",
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers as JSON.")] = False,
) -> None:
    """Write a campaign, see whom it would reach, launch it, watch it, steer it, and read its account.

    `watch` goes on through restarts of the API, and ends with the campaign: with status 0 if it completed, else 1.
    """
    wish = Wish(
        action=action,
        what=what,
        at=at,
        per_second=per_second,
        unlimited=unlimited,
        state=state,
        export=export,
        status=status,
        key=key,
        by=by,
        as_json=as_json,
    )
    with failing_in_one_line():
        wish.check()
        try:
            well = asyncio.run(_run(load_settings(), wish))
        except KeyboardInterrupt:
            typer.echo("stopped; the campaign itself goes on", err=True)
            raise typer.Exit(_INTERRUPTED) from None
    if not well:
        raise typer.Exit(1)


async def _run(settings: Settings, wish: Wish) -> bool:
    """False where the campaign that was watched did not complete."""
    async with open_api(settings) as http:
        if wish.action is Action.WATCH:
            with Bar(as_json=wish.as_json) as bar:
                watched = await Campaigning(http, bar.waiting).watch(wish.campaign, bar.seen)
            if not wish.as_json:
                answers.show(watched)
            return watched.campaign.state is CampaignState.COMPLETED
        campaigns = Campaigning(http, lambda why: typer.echo(why, err=True), by=wish.by)
        if wish.action is Action.LIST:
            answers.show_list(await campaigns.list(wish.state), as_json=wish.as_json)
        elif wish.action is Action.DRY_RUN:
            answers.show_dry_run(await campaigns.dry_run(wish.campaign), as_json=wish.as_json)
        elif wish.action is Action.REPORT:
            await _report(campaigns, wish)
        elif wish.action is Action.CREATE:
            answers.show(await campaigns.create(wish.document(), key=wish.key), as_json=wish.as_json)
        else:
            done = await campaigns.command(wish.campaign, wish.action.value, wish.body())
            answers.show(done, as_json=wish.as_json)
    return True


async def _report(campaigns: Campaigning, wish: Wish) -> None:
    answer, log = await campaigns.look(wish.campaign), await campaigns.log(wish.campaign)
    if wish.export is not None:
        await campaigns.save(wish.campaign, wish.export, wish.status.value if wish.status is not None else None)
    answers.show_report(answer, log, as_json=wish.as_json)
    if wish.export is not None and not wish.as_json:
        typer.echo(f"{wish.export} has its messages")
