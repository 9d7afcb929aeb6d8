"""One round of a campaign: prepare, wait for its start, send through shards, report."""

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.campaigns import CampaignActivities, CampaignView, Report, Shard, ShardsAfter
    from activities.temporal import DELIVERY_STATUS, shard_workflow_id
    from notifications.campaigns.lifecycle import PREPARE_AHEAD, CommandName
    from notifications.statuses import CampaignState
    from workflows.campaign_calls import LOOK_AGAIN, Bell, go_on, is_long
    from workflows.display import campaign_details
    from workflows.ledger_calls import ask
    from workflows.retries import OWN_SERVERS_RETRY, PREPARE_HEARTBEAT, PREPARE_START_TO_CLOSE
    from workflows.shard import ShardInput, ShardWorkflow

SHARDS_AT_ONCE = 2
SHARD_AGAIN = timedelta(seconds=5)  # one that broke off begins again after that
_SHARDS_READ = 50
SHARD_TRIES = 5  # in a row that end in a fault of ours, or in the Temporal UI: then somebody has to look
SHARD_FAILED = "shard_failed"


@dataclass(frozen=True)
class CampaignInput:
    """`sent_to`: every shard up to this sequence number has ended, or runs on without this run."""

    campaign_id: str
    round: int
    sent_to: int = 0


@workflow.defn
class CampaignWorkflow:
    """The campaign's row decides, this waits: a signal only says "look again"."""

    @workflow.init
    def __init__(self, campaign: CampaignInput) -> None:
        self._campaign = campaign
        self._id = UUID(campaign.campaign_id)
        self._bell = Bell()
        self._shown: CampaignState | None = None
        self._shards: dict[int, workflow.ChildWorkflowHandle[ShardWorkflow, None]] = {}

    @workflow.signal
    def look_again(self) -> None:
        """The row was changed."""
        self._bell.ring()
        self._pass_on()

    @workflow.signal
    async def pause(self) -> None:
        await self._report(CommandName.PAUSE, "operator")
        self.look_again()

    @workflow.signal
    async def resume(self) -> None:
        await self._report(CommandName.RESUME)
        self.look_again()

    @workflow.signal
    async def cancel(self) -> None:
        await self._report(CommandName.CANCEL)
        self.look_again()

    @workflow.run
    async def run(self, campaign: CampaignInput) -> str:
        del campaign  # taken by __init__, since a signal may come before
        story = asyncio.create_task(self._story())
        try:
            return await asyncio.shield(story)
        except asyncio.CancelledError:
            # "Request Cancellation" in the UI does what the API's cancel does; begun calls are seen to their end.
            await self.cancel()
            return await story

    async def _story(self) -> str:
        view = await self._prepare()
        if view.is_prepared:
            view = await self._start()
        if not view.state.is_final:
            await self._send()
            view = await self._report(CommandName.COMPLETE)
            if not view.state.is_final:  # it was paused as its last message went: the next run waits until it goes on
                await go_on(self._campaign)
        if view.state is not CampaignState.COMPLETED:
            await self._settle()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return view.state

    async def _settle(self) -> None:
        """It was called off: calls under way end, and every message has its end written down."""
        await workflow.execute_activity_method(
            CampaignActivities.settle_campaign,
            self._id,
            start_to_close_timeout=PREPARE_START_TO_CLOSE,
            heartbeat_timeout=PREPARE_HEARTBEAT,
            retry_policy=OWN_SERVERS_RETRY,
            summary="write down what became of the rest",
        )

    async def _look(self) -> CampaignView:
        self._bell.listen()
        return self._show(await ask(CampaignActivities.look_at_campaign, self._id, summary="what does its row say?"))

    async def _report(self, command: CommandName, reason: str | None = None) -> CampaignView:
        report = Report(self._id, command, reason)
        return self._show(await ask(CampaignActivities.report_campaign, report, summary=command.replace("_", " ")))

    async def _wait_until(self, when: datetime, *, summary: str) -> None:
        """Until then or until somebody changed something, whichever is first."""
        await self._bell.wait(when - workflow.now(), summary=summary)

    async def _prepare(self) -> CampaignView:
        """Some minutes before the start, write down who gets it."""
        view = await self._look()
        while view.state is CampaignState.SCHEDULED and self._begin(view) > workflow.now():
            await self._wait_until(self._begin(view), summary="until it is prepared")
            view = await self._look()
        if view.state is CampaignState.SCHEDULED:
            view = await self._report(CommandName.PREPARE)
        if view.state.is_final or view.is_prepared:
            return view
        try:
            view = await workflow.execute_activity_method(
                CampaignActivities.prepare_campaign,
                self._id,
                start_to_close_timeout=PREPARE_START_TO_CLOSE,
                heartbeat_timeout=PREPARE_HEARTBEAT,
                retry_policy=OWN_SERVERS_RETRY,
                summary="write down who gets it",
            )
        except ActivityError as error:
            cause = error.cause
            return await self._report(CommandName.FAIL, getattr(cause, "type", None) or "prepare_failed")
        return self._show(view)

    def _begin(self, view: CampaignView) -> datetime:
        return (view.starts_at or workflow.now()) - PREPARE_AHEAD

    async def _start(self) -> CampaignView:
        """Wait for its time; one that is paused meanwhile starts when it is resumed."""
        view = await self._look()
        while not view.state.is_final and view.state is not CampaignState.RUNNING:
            starts_at = view.starts_at or workflow.now()
            if view.state is CampaignState.PAUSED:
                await self._bell.wait(LOOK_AGAIN, summary="paused")
            elif starts_at > workflow.now():
                await self._wait_until(starts_at, summary="until its start")
            else:
                await self._report(CommandName.START)  # refused, where somebody has just paused it
            view = await self._look()
            if is_long():
                await go_on(self._campaign)
        return view

    async def _send(self) -> None:
        following = asyncio.create_task(self._follow())
        try:
            await self._send_shards()
        finally:
            following.cancel()

    async def _follow(self) -> None:
        """Show what was done to it meanwhile."""
        while True:
            await self._look()
            await self._bell.ringing()

    async def _send_shards(self) -> None:
        """Shards side by side, in the order of their numbers."""
        after = self._campaign.sent_to
        slots = asyncio.Semaphore(SHARDS_AT_ONCE)
        running: list[asyncio.Task[None]] = []
        while shards := await self._shards_after(after):
            for shard in shards:
                await slots.acquire()
                running = [task for task in running if not task.done()]
                if is_long():
                    await asyncio.gather(*running)
                    await go_on(replace(self._campaign, sent_to=after))
                task = asyncio.create_task(self._send_shard(shard))
                task.add_done_callback(lambda _: slots.release())
                running.append(task)
                after = shard.last_seq
        await asyncio.gather(*running)

    async def _shards_after(self, after: int) -> list[Shard]:
        wanted = ShardsAfter(self._id, self._campaign.round, after, limit=_SHARDS_READ)
        shards: list[Shard] = await ask(CampaignActivities.next_shards, wanted, summary="which shards are left?")
        return shards

    async def _send_shard(self, shard: Shard) -> None:
        """Until nothing of it waits. One that breaks off is started again: the ledger knows what is left of it."""
        tries = 0
        while True:
            try:
                await self._run_shard(shard)
            except WorkflowAlreadyStartedError:  # it still runs from before
                await workflow.sleep(LOOK_AGAIN)
            except ChildWorkflowError:
                workflow.logger.exception("campaign.shard_failed")
                tries += 1
                if tries % SHARD_TRIES == 0:
                    await self._report(CommandName.PAUSE, SHARD_FAILED)
                await workflow.sleep(SHARD_AGAIN)
            else:
                return

    async def _run_shard(self, shard: Shard) -> None:
        handle = await workflow.start_child_workflow(
            ShardWorkflow.run,
            ShardInput(self._campaign.campaign_id, self._campaign.round, shard.first_seq, shard.last_seq),
            id=shard_workflow_id(self._id, self._campaign.round, shard.first_seq),
            static_summary=f"messages {shard.first_seq} to {shard.last_seq}",
        )
        self._shards[shard.first_seq] = handle
        try:
            await handle
        finally:
            del self._shards[shard.first_seq]

    def _pass_on(self) -> None:
        """Wake the shards; one that has just ended, or that is not reached, reads the row within half a minute."""
        for handle in self._shards.values():
            task = asyncio.create_task(handle.signal(ShardWorkflow.look_again))
            task.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _show(self, view: CampaignView) -> CampaignView:
        """Make its state searchable, and say in words why it is paused."""
        if view.state != self._shown:
            self._shown = view.state
            workflow.upsert_search_attributes([DELIVERY_STATUS.value_set(str(view.state))])
            workflow.set_current_details(campaign_details(view))
        return view
