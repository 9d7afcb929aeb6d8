"""Campaigns, whom they would reach and what became of them, on a terminal."""

import json
from typing import Any

import typer
from pydantic import BaseModel
from rich.text import Text

from api.schemas.campaign_account import CampaignMessageAnswer, CampaignMessageView
from api.schemas.campaigns import CampaignAccount, CampaignAnswer, CampaignView, CommandLog, DryRunAnswer, ReachView
from notifications.explanations import explain_campaign
from notifications.statuses import CampaignState, MessageStatus
from tidings.answers import console

_TIME = "%Y-%m-%d %H:%M:%S"
_STYLES = {CampaignState.COMPLETED: "green", CampaignState.RUNNING: "green", CampaignState.FAILED: "red"}
_NEXT = {
    CampaignState.DRAFT: "whom it would reach: python -m tidings campaign dry-run",
    CampaignState.SCHEDULED: "watch it: python -m tidings campaign watch",
    CampaignState.PREPARING: "watch it: python -m tidings campaign watch",
    CampaignState.RUNNING: "watch it: python -m tidings campaign watch",
    CampaignState.PAUSED: "go on with it: python -m tidings campaign resume",
}
_UNSAID = {"at": "now", "per_second": "unlimited"}  # what None stands for in the log
_EXPLAINED = {MessageStatus.SENDING: ": calls that have begun", MessageStatus.UNKNOWN: ": called, and no answer heard"}
_BAD = {MessageStatus.FAILED, MessageStatus.UNKNOWN, MessageStatus.BOUNCED}


def show(answer: CampaignAnswer, *, as_json: bool = False) -> None:
    """What a command left."""
    if as_json:
        _print(answer)
        return
    _show_campaign(answer.campaign)
    if answer.account is not None:
        _show_account(answer.account)


def show_next(answer: CampaignAnswer) -> None:
    """What somebody may want to do now."""
    if (words := _NEXT.get(answer.campaign.state)) is not None:
        console().print(Text(f"{words} {answer.campaign.id}", style="dim"))


def show_list(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    out = console()
    for item in found["items"]:
        one = CampaignView.model_validate(item)
        head = f"{one.id}  {one.created_at:{_TIME}}  {one.channel:<9} "
        out.print(Text.assemble(head, (f"{one.state:<10}", _STYLES.get(one.state, "yellow")), one.name))
    if not found["items"]:
        out.print(Text("no campaign: docs/how-to/campaigns.md says how to write one"))
    elif found["next"]:
        out.print(Text("these are the newest; --state chooses", style="dim"))


def show_dry_run(found: DryRunAnswer, *, as_json: bool) -> None:
    if as_json:
        _print(found)
        return
    out = console()
    out.print(Text(f"{found.recipients:,} people on {found.channel}; nothing was written", style="bold"))
    _show_reach(found.reach)
    if found.seconds is not None:
        out.print(Text(f"{_words(found.seconds)} at the campaign's rate"))
    for each in found.sample:
        device = f" (device {each.device_id})" if each.device_id else ""
        out.print(Text(f"  {each.recipient_id}{device}  {each.address}  {each.locale or '-'}", style="dim"))


def show_report(answer: CampaignAnswer, log: CommandLog, *, as_json: bool) -> None:
    """The campaign, its account, and who did what."""
    if as_json:
        document = answer.model_dump(mode="json") | {"commands": log.model_dump(mode="json")["items"]}
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    show(answer)
    out = console()
    if answer.account is not None and answer.account.by_status.get(MessageStatus.UNKNOWN):
        which = f"python -m tidings campaign messages {answer.campaign.id} --status unknown"
        out.print(Text(f"which are unknown: {which}", style="yellow"))
    out.print()
    for one in log.items:
        details = "".join(
            f"  {name}: {_UNSAID[name] if value is None else value}" for name, value in one.details.items()
        )
        out.print(Text(f"{one.at:{_TIME}}  {one.command:<12} by {one.by}: {one.from_state} → {one.to_state}{details}"))


def show_messages(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    out = console()
    for item in found["items"]:
        one = CampaignMessageView.model_validate(item)
        style = "red" if one.status in _BAD else ""
        out.print(Text.assemble(f"{one.seq:>11}  ", (f"{one.status:<10}", style), _whose(one)))
        at = f"   {one.updated_at:{_TIME}}  {one.provider or '-'}  {one.provider_message_id or '-'}"
        out.print(Text(f"{'':>11}{at}", style="dim"))
    if not found["items"]:
        out.print(Text("none"))
    elif found["next"]:
        out.print(Text("these are the first; `report --export messages.csv` has all", style="dim"))


def show_message(answer: CampaignMessageAnswer, *, as_json: bool) -> None:
    """What a command on one message left."""
    if as_json:
        _print(answer)
        return
    out = console()
    out.print(Text.assemble(f"message {answer.seq}  ", (answer.status.value, "bold"), f", round {answer.round}"))
    if answer.status is MessageStatus.PENDING:
        out.print(Text(f"what becomes of it: python -m tidings campaign messages {answer.campaign_id}"))
    elif answer.status is MessageStatus.FAILED:
        out.print(Text(f"to send it again: python -m tidings campaign retry-failed {answer.campaign_id}"))


def _whose(one: CampaignMessageView) -> str:
    device = f" (device {one.device_id})" if one.device_id else ""
    reason = f": {one.reason}" if one.reason else ""
    return f"{one.recipient_id or '-'}{device}  {one.address or '-'}{reason}"


def _print(document: BaseModel) -> None:
    typer.echo(json.dumps(document.model_dump(mode="json"), indent=2, ensure_ascii=False))


def _show_campaign(one: CampaignView) -> None:
    out = console()
    out.print(
        Text.assemble((f"{one.name}  ", "bold"), (one.state.value, _STYLES.get(one.state, "yellow")), f"  {one.id}")
    )
    if one.pause_reason is not None:
        said = f"{one.pause_reason}: {explain_campaign(one.pause_reason)}; docs/operations/campaigns.md says what to do"
        out.print(Text(said, style="yellow"))
    rate = f"{one.rate.per_second:g} a second at most" if one.rate is not None else "as fast as the providers take it"
    out.print(Text(f"{one.channel}, category {one.category}, {rate}"))
    if one.state is CampaignState.SCHEDULED and one.starts_at is not None:
        out.print(Text(f"starts {one.starts_at:{_TIME}} UTC"))
    if one.started_at is not None and one.finished_at is not None:
        out.print(Text(f"took {_words((one.finished_at - one.started_at).total_seconds())}"))


def _words(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"  # noqa: PLR2004 - a minute or two


def _show_account(account: CampaignAccount) -> None:
    out = console()
    people = f": {account.recipients:,} people" if account.recipients not in {0, account.targeted} else ""
    out.print(Text(f"{account.targeted:>11,}  targeted{people}"))
    for status in MessageStatus:
        if count := account.by_status.get(status):
            out.print(Text(f"{count:>11,}  {status}{_reasons(account, status)}", style="red" if status in _BAD else ""))


def _reasons(account: CampaignAccount, status: MessageStatus) -> str:
    if status is not MessageStatus.SKIPPED:
        return _EXPLAINED.get(status, "")
    most = sorted(account.skipped.items(), key=lambda item: -item[1])
    return f": {', '.join(f'{reason} {count:,}' for reason, count in most)}"


def _show_reach(reach: ReachView) -> None:
    out = console()
    out.print(Text(f"{reach.targeted:>11,}  targeted"))
    out.print(Text(f"{reach.to_send:>11,}  would be sent"))
    for reason, count in sorted(reach.skipped.items(), key=lambda item: -item[1]):
        out.print(Text(f"{count:>11,}  would be skipped: {reason}"))
