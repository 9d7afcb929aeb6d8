"""A try at a message, and what the ledger lets it do."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

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


class Verdict(StrEnum):
    """What a claim found."""

    CLAIMED = "claimed"  # the call may begin
    FINAL = "final"  # ended already
    OUTDATED = "outdated"  # the round was raised since
    SUPERSEDED = "superseded"  # a higher try holds or held it, or the call of a lower one may still be under way
    STUCK = "stuck"  # waits for an operator
    NOT_DUE = "not_due"  # outside its window; `due_at` says when
    PROVIDER_PAUSED = "provider_paused"  # held while an operator's pause lasts; `hold` says when to look again
    BREAKER_OPEN = "breaker_open"  # held while its provider is found to be out; its budget runs
    ENDED = "ended"  # this claim ended it: `status` and `reason` say how


class Claim(NamedTuple):
    """A row as the claim left it; a tuple, since one with this many fields is made for every message."""

    verdict: Verdict
    status: MessageStatus
    type: NotificationType
    channel: Channel
    duplicates: DuplicatePolicy
    hold: timedelta  # held: until the next look
    origin_id: UUID
    seq: int
    reason: str | None
    stuck_reason: str | None
    round: int
    attempt: int
    failures: int
    due_at: datetime | None
    plan_version: int
    category: str
    definition: str
    definition_version: int
    recipient_id: str | None
    address: str | None
    device_id: str | None
    locale: str
    expires_at: datetime
    provider: str | None  # claimed: the one to call
    scheduled_at: datetime  # the try's; `release` gives back only what this try holds
    is_troubled: bool  # claimed: that provider failed lately, so that an answer is worth telling the breaker
    waits_for: str  # held: the provider that takes no messages now
    origin_kind: str  # notification or campaign

    @property
    def held(self) -> tuple[int, datetime, int]:
        """What tells this hold on the row from every other."""
        return self.round, self.scheduled_at, self.attempt


_VERDICTS = {str(verdict): verdict for verdict in Verdict}
_STATUSES = {str(status): status for status in MessageStatus}
_TYPES = {str(kind): kind for kind in NotificationType}
_CHANNELS = {str(channel): channel for channel in Channel}
_POLICIES = {str(policy): policy for policy in DuplicatePolicy}


def claim_of(row: Sequence[Any]) -> Claim:
    """From a row of the statement, which has the fields in their order; what it ended has the reason as its verdict."""
    verdict, status, kind, channel, duplicates, hold, *rest = row
    return Claim(
        _VERDICTS.get(verdict, Verdict.ENDED),
        _STATUSES[status],
        _TYPES[kind],
        _CHANNELS[channel],
        _POLICIES[duplicates],
        hold or timedelta(),
        *rest,
    )
