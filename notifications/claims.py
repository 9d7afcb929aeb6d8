"""A try at a message, and what the ledger lets it do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import RowMapping

from notifications.statuses import Channel, DuplicatePolicy, MessageStatus, NotificationType


@dataclass(frozen=True, slots=True)
class Try:
    """One try at a message: (`round`, `scheduled_at`) is the fence; only a higher pair takes a row over.

    `scheduled_at` is the activity's `current_attempt_scheduled_time`. `stick` is false where a fallback has another
    channel left: what would become stuck ends as failed then. `provider` is the one to call, `others` those after it,
    in the order of preference.
    """

    origin_id: UUID
    seq: int
    round: int
    scheduled_at: datetime
    provider: str
    stick: bool = True
    others: tuple[str, ...] = ()

    @property
    def providers(self) -> str:
        """All of them in order, as the statement takes them."""
        return ",".join((self.provider, *self.others))


class Verdict(StrEnum):
    """What a claim found."""

    CLAIMED = "claimed"  # the call may begin
    FINAL = "final"  # ended already
    OUTDATED = "outdated"  # the round was raised since
    SUPERSEDED = "superseded"  # a higher try holds or held it
    STUCK = "stuck"  # waits for an operator
    NOT_DUE = "not_due"  # outside its window; `due_at` says when
    PROVIDER_PAUSED = "provider_paused"  # held while an operator's pause lasts; `hold` says when to look again
    BREAKER_OPEN = "breaker_open"  # held while its provider is found to be out; its budget runs
    ENDED = "ended"  # this claim ended it: `status` and `reason` say how


@dataclass(frozen=True, slots=True)
class Claim:
    """A row as the claim left it."""

    origin_id: UUID
    seq: int
    verdict: Verdict
    status: MessageStatus
    reason: str | None
    stuck_reason: str | None
    round: int
    attempt: int
    failures: int
    due_at: datetime | None
    plan_version: int
    type: NotificationType
    category: str
    channel: Channel
    definition: str
    definition_version: int
    recipient_id: str | None
    address: str | None
    device_id: str | None
    locale: str
    duplicates: DuplicatePolicy
    expires_at: datetime
    scheduled_at: datetime  # the try's; `release` gives back only what this try holds
    provider: str | None  # claimed: the one to call
    is_troubled: bool  # claimed: that provider failed lately, so that an answer is worth telling the breaker
    waits_for: str  # held: the provider that takes no messages now
    hold: timedelta  # held: until the next look

    @property
    def held(self) -> tuple[int, datetime, int]:
        """What tells this hold on the row from every other."""
        return self.round, self.scheduled_at, self.attempt


_PASSING = {Verdict.CLAIMED, Verdict.FINAL, Verdict.OUTDATED, Verdict.SUPERSEDED, Verdict.STUCK, Verdict.NOT_DUE}
_HOLDS = {Verdict.PROVIDER_PAUSED, Verdict.BREAKER_OPEN}


def claim_of(row: RowMapping | Mapping[str, object]) -> Claim:
    values = dict(row)
    verdict = values["verdict"]
    values["verdict"] = Verdict(str(verdict)) if verdict in _PASSING | _HOLDS else Verdict.ENDED
    values["status"] = MessageStatus(str(values["status"]))
    values["type"] = NotificationType(str(values["type"]))
    values["channel"] = Channel(str(values["channel"]))
    values["duplicates"] = DuplicatePolicy(str(values["duplicates"]))
    values["hold"] = timedelta(seconds=float(str(values.pop("hold_seconds") or 0)))
    return Claim(**values)
