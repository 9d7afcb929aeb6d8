"""How far a campaign is, as a bar for a person, or as lines of JSON for a script."""

from typing import Self

import typer
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn

from api.schemas.campaigns import CampaignAnswer
from notifications.explanations import explain_campaign
from notifications.statuses import CampaignState, MessageStatus
from tidings.troubled_progress import TroubledProgress

_WAITING = (MessageStatus.PENDING, MessageStatus.SENDING)


class Bar:
    """On stderr; `as_json`: each new answer is a line of JSON on stdout instead, and only troubles are on stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._last = ""
        self._progress = TroubledProgress(
            TextColumn("{task.description:<10}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            quiet=as_json,
        )
        self._task = self._progress.add_task("looking", total=0, numbers="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def seen(self, answer: CampaignAnswer) -> None:
        """What the API answered."""
        self._progress.trouble(_trouble(answer))
        if self._as_json:
            self._print(answer)
            return
        account = answer.account
        counts = account.by_status if account is not None else {}
        total = account.targeted if account is not None else 0
        waiting = sum(counts.get(status, 0) for status in _WAITING)
        shown = (MessageStatus.SENT, MessageStatus.SKIPPED, MessageStatus.FAILED, MessageStatus.UNKNOWN)
        self._progress.update(
            self._task,
            description=answer.campaign.state.value,
            total=total,
            completed=total - waiting,
            numbers=", ".join(f"{counts[status]:,} {status}" for status in shown if counts.get(status)),
        )

    def waiting(self, why: str) -> None:
        """Nothing is known for the moment."""
        self._progress.trouble(why)

    def _print(self, answer: CampaignAnswer) -> None:
        known = answer.model_dump_json(exclude={"account": {"at"}})
        if known != self._last:
            self._last = known
            typer.echo(answer.model_dump_json())


def _trouble(answer: CampaignAnswer) -> str:
    if answer.campaign.state is CampaignState.DRAFT:
        return "it is not launched yet"
    if answer.campaign.state is CampaignState.PAUSED and answer.campaign.pause_reason is not None:
        return f"it is paused: {explain_campaign(answer.campaign.pause_reason)}"
    return ""
