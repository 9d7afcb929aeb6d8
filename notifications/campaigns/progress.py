"""How far a campaign is, as its workflows see it: its row, its ranges, and what they report."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from notifications.campaigns import changes
from notifications.campaigns.lifecycle import (
    Asked,
    Change,
    CommandName,
    UnknownCampaignError,
    WrongStateError,
    carry_out,
)
from notifications.campaigns.snapshot import RANGE_SIZE
from notifications.database import Sessions, execute_alone, transaction
from notifications.queries import campaigns as queries
from notifications.queries import ranges as sql
from notifications.tables import Campaign

SHARD_SIZE = 16 * RANGE_SIZE  # messages that one workflow looks after


class CampaignProgress:
    """One per process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def read(self, campaign_id: UUID) -> Campaign:
        """The row as it is now.

        Raises:
            UnknownCampaignError: there is none.

        """
        async with self._sessions() as session:
            found = await queries.find_campaign(session, campaign_id)
        if found is None:
            raise UnknownCampaignError(str(campaign_id))
        return found

    async def report(self, campaign_id: UUID, command: CommandName, *, reason: str | None = None) -> Campaign:
        """Change its state as its workflow, or somebody in the Temporal UI, says; what no longer applies is left.

        Raises:
            UnknownCampaignError: there is none.

        """
        by = Asked(by="temporal")
        async with transaction(self._sessions) as session:
            try:
                answer = await carry_out(session, campaign_id, command, by, CHANGES[command](reason))
            except WrongStateError:
                return await self.read(campaign_id)
        return answer.campaign

    async def shards(self, campaign_id: UUID, round_number: int, after: int, limit: int) -> list[tuple[int, int]]:
        """First and last sequence number of the next shards of which a range is open, after the one that ends there."""
        where = {"campaign": campaign_id, "round": round_number, "after": after, "limit": limit, "size": SHARD_SIZE}
        return [(first, first + SHARD_SIZE - 1) for (first,) in await self._run(sql.SHARDS, where)]

    async def open_ranges(self, campaign_id: UUID, round_number: int, first_seq: int, last_seq: int) -> list[int]:
        """The first sequence numbers of the ranges that still have something to send, in order."""
        where = {"campaign": campaign_id, "round": round_number, "first": first_seq, "last": last_seq}
        return [first for (first,) in await self._run(sql.OPEN_RANGES, where)]

    async def _run(self, statement: str, parameters: dict[str, Any]) -> Sequence[Any]:
        return await execute_alone(self._sessions, statement, parameters)


CHANGES: Mapping[CommandName, Callable[[str | None], Change]] = {
    CommandName.PREPARE: lambda _: changes.prepare,
    CommandName.START: lambda _: changes.start,
    CommandName.COMPLETE: lambda _: changes.complete,
    CommandName.RESUME: lambda _: changes.resume,
    CommandName.CANCEL: lambda _: changes.cancel,
    CommandName.PAUSE: lambda reason: partial(changes.pause, reason=reason),
    CommandName.FAIL: lambda reason: partial(changes.fail, reason=reason),
}
