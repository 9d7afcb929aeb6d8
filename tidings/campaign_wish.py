"""What was asked of `python -m tidings campaign`, and whether it can be asked so."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import typer

from notifications.statuses import CampaignState, MessageStatus
from tidings.surroundings import CommandError


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
    MESSAGES = "messages"
    RETRY_MESSAGE = "retry-message"
    SETTLE = "settle"


_OF_ONE_MESSAGE = {Action.RETRY_MESSAGE, Action.SETTLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for."""

    action: Action
    what: str | None
    seq: int | None
    at: str | None
    per_second: float | None
    unlimited: bool
    state: CampaignState | None
    export: Path | None
    status: MessageStatus | None
    accept_duplicate: bool
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

    @property
    def message(self) -> int:
        if self.seq is None:
            unknown = f"python -m tidings campaign messages {self.what} --status unknown"
            raise CommandError(f"name the message by its number: `{unknown}` shows them")
        return self.seq

    @property
    def outcome(self) -> MessageStatus:
        """Of an unknown message, as somebody found out."""
        if self.status not in {MessageStatus.SENT, MessageStatus.FAILED}:
            raise CommandError("say what became of it: --status sent, or --status failed")
        return self.status

    def check(self) -> None:
        """Nothing is asked of the API that was asked for wrongly.

        Raises:
            CommandError: something is missing, or belongs to another action.

        """
        self._check_options()
        if self.action is Action.RATE and (self.per_second is None) is not self.unlimited:
            raise CommandError("say either --per-second 200 or --unlimited")
        if self.action is Action.RESCHEDULE and self.at is None:
            raise CommandError("say when: --at 2027-03-01T09:00:00+01:00")
        if self.action is Action.CREATE and self.what is None:
            raise CommandError("name a JSON file with the campaign: docs/how-to/campaigns.md has one")
        if self.action not in {Action.CREATE, Action.LIST}:
            self.campaign  # noqa: B018 - for its error
        if self.action in _OF_ONE_MESSAGE:
            self.message  # noqa: B018 - for its error
        if self.action is Action.SETTLE:
            self.outcome  # noqa: B018 - for its error
        if self.action is Action.RETRY_MESSAGE and not self.accept_duplicate:
            raise CommandError("it may have arrived: where a second copy is better than none, say --accept-duplicate")

    def _check_options(self) -> None:
        for option, is_given, actions in (
            ("--at", self.at is not None, {Action.LAUNCH, Action.RESCHEDULE}),
            ("--per-second", self.per_second is not None, {Action.RATE}),
            ("--unlimited", self.unlimited, {Action.RATE}),
            ("--state", self.state is not None, {Action.LIST}),
            ("--export", self.export is not None, {Action.REPORT}),
            ("--status", self.status is not None, {Action.MESSAGES, Action.REPORT, Action.SETTLE}),
            ("--accept-duplicate", self.accept_duplicate, {Action.RETRY_MESSAGE}),
            ("--key", self.key is not None, {Action.CREATE}),
            ("the number of a message", self.seq is not None, _OF_ONE_MESSAGE),
        ):
            if is_given and self.action not in actions:
                raise CommandError(f"{option} is for {' and '.join(sorted(actions))}, not for {self.action}")
        if self.action is Action.REPORT and self.status is not None and self.export is None:
            raise CommandError("--status chooses what --export writes: say --export messages.csv too")

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
