"""A shard sends what is open, waits for what cannot be sent yet, and leaves a provider in trouble alone."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.batches import BatchEnd, BatchResult
from notifications.campaigns.lifecycle import CommandName
from notifications.statuses import CampaignState
from tests.support.campaign_workflows import FakeCampaign, trouble
from tests.support.workflow_world import HOUR, World, until
from workflows.shard import BARREN_PASSES

COMPLETED, PAUSED = CampaignState.COMPLETED, CampaignState.PAUSED


@pytest.fixture
async def campaign(world: World) -> FakeCampaign:
    return await world.campaign(ranges=3)


async def test_it_goes_on_with_a_range_that_has_more(world: World, campaign: FakeCampaign):
    campaign.answers = [BatchResult(BatchEnd.MORE, sent=7)]
    assert await (await world.launch(campaign)).result() == COMPLETED
    assert len(campaign.sent) == 3


async def test_it_waits_for_what_is_to_be_tried_later(world: World, campaign: FakeCampaign):
    campaign.answers = [BatchResult(BatchEnd.WAITS, wait=HOUR)]
    began = await world.now()
    assert await (await world.launch(campaign)).result() == COMPLETED
    assert await world.now() - began >= HOUR


async def test_a_worker_that_is_lost_is_followed_by_another(world: World, campaign: FakeCampaign):
    campaign.answers = [ApplicationError("no heartbeat")] * 3
    assert await (await world.launch(campaign)).result() == COMPLETED
    assert campaign.calls == ["prepare", "start", "complete"]


async def test_a_provider_in_trouble_is_left_alone_for_a_while(world: World, campaign: FakeCampaign):
    campaign.answers = [trouble()]
    began = await world.now()
    assert await (await world.launch(campaign)).result() == COMPLETED
    assert await world.now() - began >= timedelta(seconds=5)
    assert campaign.calls == ["prepare", "start", "complete"]


async def test_trouble_that_does_not_end_pauses_the_campaign(world: World):
    campaign = await world.campaign()
    campaign.answers = [trouble() for _ in range(BARREN_PASSES)]
    handle = await world.launch(campaign)
    await world.environment.sleep(timedelta(minutes=10))
    await until(lambda: campaign.state is PAUSED)
    assert campaign.row.pause_reason == "smtp_421"
    await handle.signal("resume")
    assert await handle.result() == COMPLETED


async def test_passes_that_send_something_are_no_reason_to_pause(world: World):
    campaign = await world.campaign()
    campaign.answers = [trouble(sent=1) for _ in range(2 * BARREN_PASSES)]
    assert await (await world.launch(campaign)).result() == COMPLETED
    assert campaign.calls == ["prepare", "start", "complete"]


async def test_a_pause_is_noticed_without_a_signal(world: World, campaign: FakeCampaign):
    """And its end: whoever should have sent the signals has died."""

    async def paused() -> BatchResult:
        campaign.command(CommandName.PAUSE)
        return BatchResult(BatchEnd.HELD)

    campaign.answers = [paused]
    handle = await world.launch(campaign)
    await until(lambda: campaign.state is PAUSED)
    campaign.command(CommandName.RESUME)
    assert await handle.result() == COMPLETED
    assert len(campaign.sent) == 3
