"""What a campaign's workflows ask of the ledger, and what they report to it."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import metrics
from activities.infrastructure import infrastructure
from notifications.audiences.store import UnknownAudienceError
from notifications.campaigns.lifecycle import CommandName
from notifications.campaigns.progress import CampaignProgress
from notifications.campaigns.rounds import Rounds
from notifications.campaigns.settling import Settling
from notifications.campaigns.snapshot import CampaignUnreadyError, Snapshot
from notifications.statuses import CampaignState, Channel

_LOOK_SECONDS = 2.0  # between two looks at calls that have not ended

log = structlog.get_logger()


@dataclass(frozen=True)
class CampaignView:
    """What a waiting workflow reads again whenever it wakes; nothing personal is in it."""

    state: CampaignState
    channel: Channel
    starts_at: datetime | None
    is_prepared: bool
    pause_reason: str | None = None


@dataclass(frozen=True)
class Report:
    """`command` is what happened; `reason` a code, where it was trouble."""

    campaign_id: UUID
    command: CommandName
    reason: str | None = None


@dataclass(frozen=True)
class ShardsAfter:
    campaign_id: UUID
    round: int
    after: int
    limit: int


@dataclass(frozen=True)
class Shard:
    """Ranges of messages that one workflow sends: `first_seq` to `last_seq`."""

    first_seq: int
    last_seq: int


@dataclass(frozen=True)
class ShardQuery:
    campaign_id: UUID
    round: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True)
class ShardView:
    """The campaign, and the first sequence numbers of the shard's ranges of which something waits to be sent."""

    campaign: CampaignView
    open_ranges: list[int] = field(default_factory=list)


class CampaignActivities:
    def __init__(self, progress: CampaignProgress, snapshot: Snapshot, rounds: Rounds, settling: Settling) -> None:
        self._progress = progress
        self._snapshot = snapshot
        self._rounds = rounds
        self._settling = settling

    @activity.defn
    async def look_at_campaign(self, campaign_id: UUID) -> CampaignView:
        async with infrastructure():
            return _view(await self._progress.read(campaign_id))

    @activity.defn
    async def report_campaign(self, report: Report) -> CampaignView:
        """Write down what the workflow found: prepared, started, ended, or in trouble. Safe to repeat."""
        async with infrastructure():
            return _view(await self._progress.report(report.campaign_id, report.command, reason=report.reason))

    @activity.defn
    async def prepare_campaign(self, campaign_id: UUID) -> CampaignView:
        """Write down who gets the campaign, block by block; a later try goes on after the last one.

        Raises:
            ApplicationError: not to be tried again: what the campaign names is gone.

        """
        async with infrastructure():
            is_first_round = (await self._progress.read(campaign_id)).round == 1
        write = self._snapshot.prepare_block if is_first_round else self._rounds.reopen_block
        while True:
            async with infrastructure():
                try:
                    block = await write(campaign_id)
                except (CampaignUnreadyError, UnknownAudienceError) as error:
                    kind = "unknown_audience" if isinstance(error, UnknownAudienceError) else "not_ready"
                    raise ApplicationError(str(error), type=kind, non_retryable=True) from None
            metrics.PREPARED.inc(block.rows)
            activity.heartbeat(block.rows)
            if block.done:
                break
        return await self.look_at_campaign(campaign_id)

    @activity.defn
    async def settle_campaign(self, campaign_id: UUID) -> None:
        """End every message of a campaign that was called off; calls under way are waited for. Safe to repeat."""
        while True:
            if not await self._settle_all(campaign_id):
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _settle_all(self, campaign_id: UUID) -> int:
        """Go through all its messages once; how many calls were open, each of which may give its message back."""
        after: int | None = 0
        were_open = 0
        while after is not None:
            async with infrastructure():
                block = await self._settling.settle_block(campaign_id, after)
            activity.heartbeat()
            metrics.UNKNOWN.inc(block.unknown)
            were_open += block.open
            after = block.next
        return were_open

    @activity.defn
    async def next_shards(self, wanted: ShardsAfter) -> list[Shard]:
        """The next shards with something to send, in the order of their numbers."""
        async with infrastructure():
            found = await self._progress.shards(wanted.campaign_id, wanted.round, wanted.after, wanted.limit)
        return [Shard(first, last) for first, last in found]

    @activity.defn
    async def look_at_shard(self, query: ShardQuery) -> ShardView:
        async with infrastructure():
            campaign = await self._progress.read(query.campaign_id)
            ranges = await self._progress.open_ranges(query.campaign_id, query.round, query.first_seq, query.last_seq)
        return ShardView(_view(campaign), ranges)


def _view(campaign: Any) -> CampaignView:
    return CampaignView(
        state=CampaignState(campaign.state),
        channel=Channel(campaign.channel),
        starts_at=campaign.starts_at,
        is_prepared=campaign.prepared_at is not None,
        pause_reason=campaign.pause_reason,
    )
