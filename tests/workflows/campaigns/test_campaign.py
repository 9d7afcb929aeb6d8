"""The story of a campaign: prepared, started at its time, sent through shards, whatever somebody does meanwhile."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError

from activities.starting import start_campaign
from activities.temporal import DELIVERY_STATUS, shard_workflow_id
from notifications.campaigns.lifecycle import CommandName
from notifications.campaigns.progress import SHARD_SIZE
from notifications.campaigns.snapshot import RANGE_SIZE
from notifications.statuses import CampaignState
from tests.support.campaign_workflows import FakeCampaign, trouble
from tests.support.workflow_world import HOUR, Handle, World, until, until_gone_on
from workflows.campaign import SHARD_FAILED, SHARD_TRIES
from workflows.campaign_calls import MOST_EVENTS

# A local activity that ends as its workflow does is cancelled by the worker, which then warns that it is gone.
pytestmark = pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning")

_RANGES = SHARD_SIZE // RANGE_SIZE
COMPLETED, CANCELLED, PAUSED = CampaignState.COMPLETED, CampaignState.CANCELLED, CampaignState.PAUSED
SENT = ["prepare", "start", "complete"]


async def wake(campaign: FakeCampaign, handle: Handle, command: CommandName) -> None:
    """As the API does it: the row first, then the signal."""
    assert campaign.command(command)
    await handle.signal("look_again")


async def test_every_range_is_sent_once(world: World):
    campaign = await world.campaign(ranges=_RANGES + 1)
    handle = await world.launch(campaign)
    assert await handle.result() == COMPLETED
    assert sorted(campaign.sent) == [n * RANGE_SIZE + 1 for n in range(_RANGES + 1)]
    assert campaign.calls == SENT
    assert not campaign.is_settled


async def test_it_says_in_words_where_it_stands(world: World):
    campaign = await world.campaign()
    await start_campaign(world.environment.client, campaign.id, 1, name="Spring sale")
    handle = await world.launch(campaign)
    await handle.result()
    described: WorkflowExecutionDescription = await handle.describe()
    assert await described.static_summary() == "campaign Spring sale, round 1"
    assert described.typed_search_attributes[DELIVERY_STATUS] == COMPLETED
    shard = world.environment.client.get_workflow_handle(shard_workflow_id(campaign.id, 1, 1))
    assert await (await shard.describe()).static_summary() == f"messages 1 to {SHARD_SIZE}"


async def test_nobody_is_to_get_it(world: World):
    assert await (await world.launch(await world.campaign(ranges=0))).result() == COMPLETED


async def test_a_second_start_is_the_first_one(world: World):
    campaign = await world.campaign(due_in=HOUR)
    with world.environment.auto_time_skipping_disabled():
        first, second = await world.launch(campaign), await world.launch(campaign)
        assert (await first.describe()).run_id == (await second.describe()).run_id
    assert await second.result() == COMPLETED
    assert campaign.calls == SENT


async def test_it_is_prepared_before_its_start_and_sent_at_it(world: World):
    campaign = await world.campaign(due_in=5 * HOUR)
    assert campaign.row.starts_at is not None
    assert await (await world.launch(campaign)).result() == COMPLETED
    assert await world.now() >= campaign.row.starts_at


async def test_what_it_names_is_gone(world: World):
    campaign = await world.campaign()
    campaign.prepare_answers = [ApplicationError("gone", type="unknown_audience", non_retryable=True)]
    assert await (await world.launch(campaign)).result() == CampaignState.FAILED
    assert campaign.row.pause_reason == "unknown_audience"
    assert campaign.is_settled


async def test_preparing_goes_on_after_a_lost_worker(world: World):
    campaign = await world.campaign()
    campaign.prepare_answers = [ApplicationError("no heartbeat")]
    assert await (await world.launch(campaign)).result() == COMPLETED


async def test_it_is_cancelled_while_it_waits(world: World):
    campaign = await world.campaign(due_in=100 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await wake(campaign, handle, CommandName.CANCEL)
        assert await handle.result() == CANCELLED
    assert campaign.is_settled
    assert not campaign.sent


async def test_it_is_cancelled_while_it_is_prepared(world: World):
    campaign = await world.campaign()
    block = asyncio.Event()
    campaign.prepare_answers = [block]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await until(lambda: not campaign.prepare_answers)
        await wake(campaign, handle, CommandName.CANCEL)
        block.set()
        assert await handle.result() == CANCELLED
    assert campaign.is_settled


async def test_a_cancellation_from_the_ui_is_a_cancel(world: World):
    campaign = await world.campaign(due_in=100 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await handle.cancel()
        assert await handle.result() == CANCELLED
    assert campaign.calls == ["cancel"]
    assert campaign.is_settled


async def test_it_is_cancelled_while_it_is_sent(world: World):
    campaign = await world.campaign(ranges=3)
    handle = await _trouble_then(world, campaign, "cancel")
    assert await handle.result() == CANCELLED
    assert campaign.is_settled


async def test_one_that_paused_itself_goes_on_with_a_signal_from_the_ui(world: World):
    campaign = await world.campaign(ranges=3)
    handle = await _trouble_then(world, campaign, "resume")
    assert await handle.result() == COMPLETED
    assert campaign.calls == ["prepare", "start", "pause smtp_535", "resume", "complete"]


async def _trouble_then(world: World, campaign: FakeCampaign, signal: str) -> Handle:
    campaign.answers = [trouble("smtp_535", needs_operator=True)]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await until(lambda: campaign.state is PAUSED)
        await _until_shown(handle, PAUSED)  # without anybody asking it to look
        await handle.signal(signal)
        await until(lambda: campaign.state is not PAUSED)
        await handle.result()
    return handle


async def _until_shown(handle: Handle, state: CampaignState) -> None:
    async with asyncio.timeout(60):
        while (await handle.describe()).typed_search_attributes.get(DELIVERY_STATUS) != state:
            await asyncio.sleep(0.05)


async def test_a_signal_pauses_it(world: World):
    campaign = await world.campaign(due_in=HOUR / 12)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await until(lambda: campaign.row.prepared_at is not None)
        await handle.signal("pause")
        await until(lambda: campaign.state is PAUSED)
        assert campaign.row.pause_reason == "operator"
        await handle.signal("resume")
        await until(lambda: campaign.state is not PAUSED)
    assert await handle.result() == COMPLETED


async def test_a_pause_in_the_moment_of_its_start_holds_it(world: World):
    """It is started when it is resumed, not left with shards that nobody lets send."""
    campaign = await world.campaign()
    campaign.on_report = lambda command: command is CommandName.START and _once(campaign, CommandName.PAUSE)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await until(lambda: campaign.state is PAUSED)
        await wake(campaign, handle, CommandName.RESUME)
        assert await handle.result() == COMPLETED
    assert campaign.calls == ["prepare", "pause", "resume", "start", "complete"]


async def test_a_pause_after_the_last_message_ends_with_the_resume(world: World):
    campaign = await world.campaign()
    campaign.on_report = lambda command: command is CommandName.COMPLETE and _once(campaign, CommandName.PAUSE)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await until(lambda: campaign.state is PAUSED)
        await wake(campaign, handle, CommandName.RESUME)
        assert await handle.result() == COMPLETED


def _once(campaign: FakeCampaign, command: CommandName) -> None:
    if command not in campaign.calls:
        assert campaign.command(command)


async def test_a_shard_that_breaks_off_is_started_again(world: World):
    campaign = await world.campaign(ranges=3)
    campaign.broken_shards = 1
    assert await (await world.launch(campaign)).result() == COMPLETED
    assert len(campaign.sent) == 3


async def test_a_shard_that_only_breaks_off_pauses_the_campaign(world: World):
    campaign = await world.campaign()
    campaign.broken_shards = SHARD_TRIES
    handle = await world.launch(campaign)
    await world.environment.sleep(timedelta(minutes=2))
    await until(lambda: campaign.state is PAUSED)
    assert campaign.row.pause_reason == SHARD_FAILED
    await handle.signal("resume")
    assert await handle.result() == COMPLETED


async def test_a_long_history_goes_on_as_a_new_run_and_hears_signals(world: World):
    campaign = await world.campaign()
    campaign.on_report = lambda command: command is CommandName.START and _once(campaign, CommandName.PAUSE)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await until(lambda: campaign.state is PAUSED)
        for _ in range(MOST_EVENTS // 100):
            await asyncio.gather(*(handle.signal("look_again") for _ in range(100)))
        await until_gone_on(handle)
        await handle.signal("resume")
        assert await handle.result() == COMPLETED
    assert campaign.calls == ["prepare", "pause", "resume", "start", "complete"]
