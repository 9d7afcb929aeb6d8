"""A few ranges of a campaign's messages, sent batch by batch."""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.batches import BatchActivities, BatchEnd, BatchRequest, BatchResult
    from activities.campaigns import CampaignActivities, Report, ShardQuery, ShardView
    from activities.temporal import bulk_queue
    from notifications.campaigns.lifecycle import CommandName
    from notifications.statuses import CampaignState, Channel
    from workflows.campaign_calls import LOOK_AGAIN, Bell, go_on, is_long
    from workflows.ledger_calls import ask
    from workflows.retries import BATCH_HEARTBEAT, BATCH_START_TO_CLOSE, OWN_SERVERS_RETRY

BATCHES_AT_ONCE = 8
BARREN_PASSES = 5  # in a row, cut short by the provider and without a message sent: somebody has to look
_FIRST_BREAK, _LONGEST_BREAK = timedelta(seconds=5), timedelta(minutes=1)


@dataclass(frozen=True)
class ShardInput:
    """`barren`: passes in a row that the provider cut short before a message was sent."""

    campaign_id: str
    round: int
    first_seq: int
    last_seq: int
    barren: int = 0


@workflow.defn
class ShardWorkflow:
    """Sends what waits in its ranges; waits while the campaign is paused or its provider is in trouble."""

    @workflow.init
    def __init__(self, shard: ShardInput) -> None:
        self._shard = shard
        self._id = UUID(shard.campaign_id)
        self._barren = shard.barren
        self._bell = Bell()

    @workflow.signal
    def look_again(self) -> None:
        self._bell.ring()

    @workflow.run
    async def run(self, shard: ShardInput) -> None:
        del shard  # taken by __init__, since a signal may come before
        while True:
            self._bell.listen()
            view = await self._look()
            if view.campaign.state.is_final or not view.open_ranges:
                return
            if view.campaign.state is CampaignState.PAUSED:
                await self._bell.wait(LOOK_AGAIN, summary="paused")
            else:
                await self._pass(view)
            if is_long():
                await go_on(replace(self._shard, barren=self._barren))

    async def _look(self) -> ShardView:
        shard = self._shard
        query = ShardQuery(self._id, shard.round, shard.first_seq, shard.last_seq)
        view: ShardView = await ask(CampaignActivities.look_at_shard, query, summary="what is left?")
        return view

    async def _pass(self, view: ShardView) -> None:
        """Send what waits in every open range, then wait as long as the slowest reason to wait says."""
        found = await _Pass(self._id, self._shard.round, view.campaign.channel).send(view.open_ranges)
        if found.trouble is not None:
            await self._note(found.trouble, sent=found.sent)
        elif found.is_held:
            await self._bell.wait(LOOK_AGAIN, summary="held by the campaign's state")
        elif found.next_due is not None:
            await self._bell.wait(found.next_due, summary="until the next message is tried again")
        if found.trouble is None:
            self._barren = 0

    async def _note(self, trouble: BatchResult, *, sent: int) -> None:
        """A provider in trouble is left alone for a while; if that does not help, the campaign is paused."""
        self._barren = 0 if sent else self._barren + 1
        if trouble.needs_operator or self._barren >= BARREN_PASSES:
            self._barren = 0
            report = Report(self._id, CommandName.PAUSE, reason=trouble.reason)
            await ask(CampaignActivities.report_campaign, report, summary=f"pause: {trouble.reason}")
            await self._tell_campaign()
            return
        pause = min(_FIRST_BREAK * 2**self._barren, _LONGEST_BREAK)
        await self._bell.wait(max(trouble.wait, pause), summary=f"provider in trouble: {trouble.reason}")

    async def _tell_campaign(self) -> None:
        """Its other shards stop at once, and it shows why; unreached, they look by themselves within half a minute."""
        campaign = workflow.info().parent
        if campaign is None:
            return
        handle = workflow.get_external_workflow_handle(campaign.workflow_id)
        with contextlib.suppress(FailureError):
            await handle.signal("look_again")


class _Pass:
    """The open ranges once, some at a time; a batch that is held or in trouble keeps others from beginning."""

    def __init__(self, campaign_id: UUID, round_number: int, channel: Channel) -> None:
        self._id = campaign_id
        self._round = round_number
        self._channel = channel
        self._slots = asyncio.Semaphore(BATCHES_AT_ONCE)
        self.trouble: BatchResult | None = None
        self.is_held = False
        self.sent = 0
        self.next_due: timedelta | None = None

    async def send(self, ranges: list[int]) -> "_Pass":
        await asyncio.gather(*(self._send(first) for first in ranges))
        return self

    async def _send(self, first: int) -> None:
        async with self._slots:
            if self.trouble is not None or self.is_held:
                return
            result: BatchResult = await workflow.execute_activity_method(
                BatchActivities.send_batch,
                BatchRequest(self._id, self._round, first),
                task_queue=bulk_queue(self._channel),
                start_to_close_timeout=BATCH_START_TO_CLOSE,
                heartbeat_timeout=BATCH_HEARTBEAT,
                retry_policy=OWN_SERVERS_RETRY,
                summary=f"messages from {first}",
            )
        self.sent += result.sent
        match result.end:
            case BatchEnd.TROUBLE:
                self.trouble = result
            case BatchEnd.HELD:
                self.is_held = True
            case BatchEnd.WAITS:
                self.next_due = min(result.wait, self.next_due or result.wait)
            case BatchEnd.DONE | BatchEnd.MORE:
                pass
