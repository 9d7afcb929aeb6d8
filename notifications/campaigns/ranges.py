"""The ledger for a range of a campaign's messages: one try holds it at a time, by its epoch.

The same rules as for single messages (notifications/ledger.py): claim → send → record, one statement each, safe to run
twice, and no connection is held while a provider is called. Recording is the ledger's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from notifications.database import Sessions, execute_alone
from notifications.queries import ranges as sql
from notifications.statuses import MessageStatus

# From a claim until nobody can write down any more what came of its call: 5 s to begin, 21 s for the call, 30 s of
# patience with Postgres, and 4 s for the statement that was begun last.
ANSWER_WINDOW = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Hold:
    """What one try has of a range: messages `first_seq` to `last_seq`, under `epoch`."""

    campaign_id: UUID
    round: int
    first_seq: int
    last_seq: int
    epoch: int

    @property
    def key(self) -> dict[str, Any]:
        return {"campaign": self.campaign_id, "round": self.round, "first": self.first_seq, "epoch": self.epoch}


class ClaimedMessage(NamedTuple):
    """A row as the claim left it: `status` is sending, or how the claim ended it."""

    seq: int
    status: str
    attempt: int
    failures: int
    address: str | None
    device_id: str | None
    locale: str
    expires_at: datetime
    due_at: datetime | None
    recipient_id: str
    name: str | None
    timezone: str | None
    attributes: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Left:
    """What a range still has: `next_due` is when the next of its messages may be claimed, None where none waits.

    A message whose call an earlier try began may be claimed once that try cannot answer any more.
    """

    state: str  # CampaignState
    is_ours: bool
    next_due: datetime | None


class RangeLedger:
    """One per process; `process` tells its claims from those of others.

    No call of an earlier try is taken for lost before `answer_window` is over.
    """

    def __init__(self, sessions: Sessions, *, process: str, answer_window: timedelta = ANSWER_WINDOW) -> None:
        self._sessions = sessions
        self._process = process
        self._answer_window = answer_window

    async def begin(self, campaign_id: UUID, round_number: int, first_seq: int) -> Hold | None:
        """Take the range over from whoever had it; None: nothing of it waits any more, or it is not there."""
        where = {"campaign": campaign_id, "round": round_number, "first": first_seq}
        rows = await self._run(sql.BEGIN, where)
        if not rows:
            return None
        epoch, last_seq = rows[0]
        return Hold(campaign_id, round_number, first_seq, last_seq, epoch)

    async def claim(self, hold: Hold, *, after: int, limit: int, provider: str) -> list[ClaimedMessage]:
        """The next due messages after `after`, at most `limit`; none: see what is `left`.

        Those that may not be sent are ended in the same statement, and are told with how they ended.
        """
        parameters = {
            "after": after,
            "limit": limit,
            "provider": provider,
            "process": self._process,
            "answer_window": self._answer_window,
        }
        return [ClaimedMessage._make(row) for row in await self._run(sql.CLAIM, hold.key | parameters)]

    async def release(self, hold: Hold, messages: Sequence[ClaimedMessage]) -> None:
        """Give back what was not sent and certainly not accepted: its attempt does not count."""
        if messages:
            given = {"seqs": [each.seq for each in messages], "attempts": [each.attempt for each in messages]}
            await self._run(sql.RELEASE, hold.key | given)

    async def left(self, hold: Hold) -> Left:
        parameters = hold.key | {"answer_window": self._answer_window}
        ((state, is_ours, next_due),) = await self._run(sql.LEFT, parameters)
        return Left(state, is_ours, next_due)

    async def finish(self, hold: Hold) -> bool:
        """Mark the range as done if nothing of it waits or is under way."""
        return bool(await self._run(sql.FINISH, hold.key))

    async def _run(self, statement: str, parameters: dict[str, Any]) -> Sequence[Any]:
        return await execute_alone(self._sessions, statement, parameters)


def is_claimed(message: ClaimedMessage) -> bool:
    return message.status == MessageStatus.SENDING
