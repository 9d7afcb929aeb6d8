"""`python -m tidings campaign ...`: a campaign from its file to its report, over the API."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from api.schemas.campaigns import CampaignAnswer
from notifications.settings import Settings, load_settings
from notifications.statuses import CampaignState, MessageStatus
from tidings import campaign_answers as answers
from tidings.api_client import open_api
from tidings.campaign_bar import Bar
from tidings.campaign_wish import Action, Wish
from tidings.campaigning import Campaigning
from tidings.surroundings import failing_in_one_line

_INTERRUPTED = 130  # as a shell has it for Ctrl-C


def campaign(
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.LIST,
    what: Annotated[
        str | None,
        typer.Argument(metavar="FILE|ID", help="create: a JSON file, - for stdin; else the campaign's id."),
    ] = None,
    seq: Annotated[
        int | None, typer.Argument(metavar="MESSAGE", min=1, help="retry-message, settle: the message's number.")
    ] = None,
    *,
    at: Annotated[str | None, typer.Option("--at", help="launch, reschedule: 2027-03-01T09:00:00+01:00.")] = None,
    per_second: Annotated[float | None, typer.Option("--per-second", help="rate: so many a second at most.")] = None,
    unlimited: Annotated[bool, typer.Option("--unlimited", help="rate: as fast as the providers take it.")] = False,
    state: Annotated[CampaignState | None, typer.Option("--state", help="list: those in this state.")] = None,
    export: Annotated[Path | None, typer.Option("--export", help="report: its messages to .csv or .ndjson.")] = None,
    status: Annotated[
        MessageStatus | None,
        typer.Option("--status", help="messages, --export: those with this status; settle: sent or failed."),
    ] = None,
    accept_duplicate: Annotated[
        bool, typer.Option("--accept-duplicate", help="retry-message: a second copy is better than none.")
    ] = False,
    key: Annotated[str | None, typer.Option("--key", help="create: the same key again is the same campaign.")] = None,
    by: Annotated[str, typer.Option("--by", help="Who asks, for the log.")] = "command line",
    as_json: Annotated[bool, typer.Option("--json", help="Print what the API answers as JSON.")] = False,
) -> None:
    """Write a campaign, see whom it would reach, launch it, watch it, steer it, and read its account.

    \b
    create FILE              write it down as a draft; prints its id
    list                     the newest, with their ids
    dry-run ID               whom it would reach, and why not the others; nothing is written
    launch ID                start it now, or at a time: --at
    reschedule ID --at TIME  move its start
    watch ID                 a progress bar until it has ended
    pause ID, resume ID      nothing more is sent within 2 s; go on
    rate ID                  how fast it goes: --per-second 50, or --unlimited
    cancel ID                what is not sent, never will be
    retry-failed ID          send what failed once more
    report ID                its account and who did what; --export writes its messages down
    messages ID              fifty of its messages; --status unknown chooses
    retry-message ID MESSAGE --accept-duplicate
                             send an unknown message once more
    settle ID MESSAGE --status sent|failed
                             say what became of an unknown message

    `watch` goes on through restarts of the API, and ends with the campaign: with status 0 if it completed, else 1.
    The others end with 1 where they are refused, and say why.
    """  # noqa: D301 - click leaves a paragraph after this mark as it is
    wish = Wish(
        action=action,
        what=what,
        seq=seq,
        at=at,
        per_second=per_second,
        unlimited=unlimited,
        state=state,
        export=export,
        status=status,
        accept_duplicate=accept_duplicate,
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
        await _ACTIONS.get(wish.action, _command)(campaigns, wish)
    return True


async def _list(campaigns: Campaigning, wish: Wish) -> None:
    answers.show_list(await campaigns.list(wish.state), as_json=wish.as_json)


async def _dry_run(campaigns: Campaigning, wish: Wish) -> None:
    answers.show_dry_run(await campaigns.dry_run(wish.campaign), as_json=wish.as_json)


async def _create(campaigns: Campaigning, wish: Wish) -> None:
    _show(await campaigns.create(wish.document(), key=wish.key), wish)


async def _command(campaigns: Campaigning, wish: Wish) -> None:
    _show(await campaigns.command(wish.campaign, wish.action.value, wish.body()), wish)


def _show(done: CampaignAnswer, wish: Wish) -> None:
    answers.show(done, as_json=wish.as_json)
    if not wish.as_json:
        answers.show_next(done)


async def _messages(campaigns: Campaigning, wish: Wish) -> None:
    answers.show_messages(await campaigns.messages(wish.campaign, wish.status), as_json=wish.as_json)


async def _retry_message(campaigns: Campaigning, wish: Wish) -> None:
    answers.show_message(await campaigns.retry_message(wish.campaign, wish.message), as_json=wish.as_json)


async def _settle(campaigns: Campaigning, wish: Wish) -> None:
    done = await campaigns.settle(wish.campaign, wish.message, wish.outcome)
    answers.show_message(done, as_json=wish.as_json)


async def _report(campaigns: Campaigning, wish: Wish) -> None:
    answer, log = await campaigns.look(wish.campaign), await campaigns.log(wish.campaign)
    if wish.export is not None:
        await campaigns.save(wish.campaign, wish.export, wish.status.value if wish.status is not None else None)
    answers.show_report(answer, log, as_json=wish.as_json)
    if wish.export is not None and not wish.as_json:
        typer.echo(f"{wish.export} has its messages")


_ACTIONS = {
    Action.LIST: _list,
    Action.DRY_RUN: _dry_run,
    Action.CREATE: _create,
    Action.REPORT: _report,
    Action.MESSAGES: _messages,
    Action.RETRY_MESSAGE: _retry_message,
    Action.SETTLE: _settle,
}
