"""The main turns of a campaign, of its shards and of a message sent once more, each played to its end."""

from datetime import timedelta

from activities.batches import BatchEnd, BatchResult
from activities.temporal import shard_workflow_id
from notifications.campaigns.lifecycle import CommandName
from notifications.campaigns.progress import SHARD_SIZE
from notifications.statuses import CampaignState, Channel
from tests.support.campaign_workflows import FakeCampaign, trouble
from tests.support.workflow_world import HOUR, Handle, World, until, until_gone_on
from tests.support.workflows import accepted, transient


async def campaign_done(world: World) -> Handle:
    """Two shards, an hour after the launch."""
    campaign = await world.campaign(due_in=HOUR)
    campaign.open = [1, SHARD_SIZE + 1]
    return await world.launch(campaign)


async def campaign_paused_and_resumed(world: World) -> Handle:
    _, handle = await _paused_itself(world)
    return handle


async def campaign_cancelled(world: World) -> Handle:
    """While it is paused, by a signal."""
    _, handle = await _paused_itself(world, then="cancel")
    return handle


async def campaign_cancelled_from_the_ui(world: World) -> Handle:
    campaign = await world.campaign(due_in=100 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await handle.cancel()
        await handle.result()
    return handle


async def campaign_shard_failed(world: World) -> Handle:
    campaign = await world.campaign()
    campaign.broken_shards = 1
    return await world.launch(campaign)


async def campaign_gone_on(world: World) -> Handle:
    """It is paused as its last message goes, and waits in a new run; this is the history of the first."""
    campaign = await world.campaign()

    def pause(command: CommandName) -> None:
        if command is CommandName.COMPLETE and "pause" not in campaign.calls:
            campaign.command(CommandName.PAUSE)

    campaign.on_report = pause
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await until_gone_on(handle)
        campaign.command(CommandName.RESUME)
        await handle.signal("look_again")
        await handle.result()
    return world.environment.client.get_workflow_handle(handle.id, run_id=handle.first_execution_run_id)


async def shard_done(world: World) -> Handle:
    campaign = await world.campaign(ranges=3)
    campaign.answers = [BatchResult(BatchEnd.MORE, sent=7), BatchResult(BatchEnd.WAITS, wait=HOUR)]
    return await _shard_of(world, campaign)


async def shard_paused_itself(world: World) -> Handle:
    campaign, _ = await _paused_itself(world)
    return _shard(world, campaign)


async def shard_in_trouble(world: World) -> Handle:
    campaign = await world.campaign()
    campaign.answers = [trouble(), trouble(sent=5)]
    return await _shard_of(world, campaign)


async def campaign_resent(world: World) -> Handle:
    ledger = await world.ledger(Channel.EMAIL)
    ledger.change(1, round=2)
    return await world.resend_of_campaign(ledger, 2)


async def campaign_resend_cancelled(world: World) -> Handle:
    """It is withdrawn between two tries."""
    ledger = await world.ledger(Channel.EMAIL)
    ledger.change(1, round=2)
    ledger.answers[Channel.EMAIL] = [transient(timedelta(minutes=5)), accepted()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.resend_of_campaign(ledger, 2)
        await until(lambda: len(ledger.sends) == 1)
        await handle.cancel()
        await until(lambda: "withdraw" in ledger.calls)
    return handle


async def _paused_itself(world: World, *, then: str = "resume") -> tuple[FakeCampaign, Handle]:
    """What somebody did next, they did in the UI."""
    campaign = await world.campaign(ranges=3)
    campaign.answers = [trouble("smtp_535", needs_operator=True)]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.launch(campaign)
        await until(lambda: campaign.state is CampaignState.PAUSED)
        await handle.signal("look_again")
        await handle.signal(then)
        await handle.result()
    return campaign, handle


async def _shard_of(world: World, campaign: FakeCampaign) -> Handle:
    await (await world.launch(campaign)).result()
    return _shard(world, campaign)


def _shard(world: World, campaign: FakeCampaign) -> Handle:
    return world.environment.client.get_workflow_handle(shard_workflow_id(campaign.id, 1, 1))


CAMPAIGN_TURNS = (
    campaign_done,
    campaign_paused_and_resumed,
    campaign_cancelled,
    campaign_cancelled_from_the_ui,
    campaign_shard_failed,
    campaign_gone_on,
    shard_done,
    shard_paused_itself,
    shard_in_trouble,
    campaign_resent,
    campaign_resend_cancelled,
)
