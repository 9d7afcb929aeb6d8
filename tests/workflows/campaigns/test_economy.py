"""What a campaign asks of Temporal: few events, few actions, and no long history, however many get it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowHistory

from activities.batches import BatchActivities, BatchEnd, BatchRequest, BatchResult
from activities.temporal import shard_workflow_id
from benchmarks.campaign.economy import billable_actions, economy_of, heartbeats
from notifications.campaigns.progress import SHARD_SIZE
from notifications.campaigns.snapshot import RANGE_SIZE
from notifications.statuses import CampaignState
from tests.support.campaign_workflows import FakeCampaign
from tests.support.servers import running_time_skipping
from tests.support.workflow_world import Handle, World, running_world
from worker.composition import UNSANDBOXED
from workflows.campaign import CampaignWorkflow
from workflows.ledger_calls import ask
from workflows.shard import ShardInput

SHARDS = 600
MOST_EVENTS = 2_000


async def runs_of(client: Client, handle: Handle) -> list[WorkflowHistory]:
    """From the first run to the last."""
    last = await handle.fetch_history()
    run_id = last.events[0].workflow_execution_started_event_attributes.first_execution_run_id
    runs = []
    while run_id:
        runs.append(await client.get_workflow_handle(handle.id, run_id=run_id).fetch_history())
        run_id = runs[-1].events[-1].workflow_execution_continued_as_new_event_attributes.new_execution_run_id
    return runs


def shard_of(world: World, campaign: FakeCampaign, first: int = 1) -> Handle:
    return world.environment.client.get_workflow_handle(shard_workflow_id(campaign.id, 1, first))


@workflow.defn(name="ShardWorkflow")
class StubShard:
    """Sends its one range within its first task: what a whole shard costs is counted further down."""

    @workflow.run
    async def run(self, shard: ShardInput) -> None:
        batch = BatchRequest(UUID(shard.campaign_id), shard.round, shard.first_seq)
        await ask(BatchActivities.send_batch, batch, summary="all of it")


@pytest.fixture
async def stub_world() -> AsyncIterator[World]:
    """Without the sandbox, which would be half of the time; every other test runs in it."""
    workflows = (CampaignWorkflow, StubShard)
    async with running_time_skipping() as environment, running_world(environment, workflows, UNSANDBOXED) as world:
        yield world


async def test_twenty_million_are_sent_once_by_histories_that_stay_short(stub_world: World):
    """600 shards: the campaign goes on as a new run several times on the way."""
    campaign = await stub_world.campaign()
    firsts = [shard * SHARD_SIZE + 1 for shard in range(SHARDS)]
    campaign.open = list(firsts)
    handle = await stub_world.launch(campaign)
    assert await handle.result() == CampaignState.COMPLETED
    assert sorted(campaign.sent) == firsts
    runs = await runs_of(stub_world.environment.client, handle)
    assert len(runs) > 2
    assert economy_of(runs).longest <= MOST_EVENTS


async def test_hours_of_small_steps_go_on_as_new_runs(world: World):
    campaign = await world.campaign()
    campaign.answers = [BatchResult(BatchEnd.WAITS, sent=1, wait=timedelta(seconds=1)) for _ in range(150)]
    assert await (await world.launch(campaign)).result() == CampaignState.COMPLETED
    assert campaign.sent == [1]
    runs = await runs_of(world.environment.client, shard_of(world, campaign))
    assert len(runs) > 1
    assert economy_of(runs).longest <= MOST_EVENTS


@pytest.mark.parametrize(("recipients", "events", "actions"), [(20_000, 0.02, 0.02), (65_536, 0.005, 0.002)])
async def test_a_recipient_costs_a_fraction_of_an_event(world: World, recipients: int, events: float, actions: float):
    """Two full shards cost for each recipient what a million do, and the campaign's own beginning more."""
    campaign = await world.campaign(ranges=-(-recipients // RANGE_SIZE))
    handle = await world.launch(campaign)
    await handle.result()
    shards = [shard_of(world, campaign, first) for first in range(1, recipients, SHARD_SIZE)]
    economy = economy_of([run for each in (handle, *shards) for run in await runs_of(world.environment.client, each)])
    assert economy.events / recipients <= events
    assert economy.actions / recipients <= actions


async def test_actions_are_counted_as_they_are_billed(world: World):
    campaign = await world.campaign(ranges=16)
    handle = await world.launch(campaign)
    await handle.result()
    (run,) = await runs_of(world.environment.client, handle)
    (shard,) = await runs_of(world.environment.client, shard_of(world, campaign))
    assert billable_actions(shard) == 1 + 2 + 16  # its start, two tasks with a look at the ledger, its batches
    # Its start, the snapshot, the child; the states scheduled, preparing, running and completed; three tasks that ask.
    assert billable_actions(run) == 3 + 4 + 3


@pytest.mark.parametrize(("seconds", "expected"), [(0, 0), (1.9, 0), (2, 1), (9.9, 1), (10, 2), (26, 4)])
def test_a_batch_tells_of_itself_every_eight_seconds(seconds: float, expected: int):
    assert heartbeats(timedelta(seconds=seconds)) == expected
