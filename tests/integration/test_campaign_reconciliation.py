"""A campaign is given up by its row alone: whatever happens to its workflow, it goes on, and nobody gets it twice."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prometheus_client import REGISTRY

from notifications.database import execute, transaction
from notifications.ids import event_uuid
from notifications.statuses import CampaignState, Channel, MessageStatus
from tests.integration.test_campaigns import Desk, body
from tests.support.events import SOURCE, launch
from tests.support.integration import House, until
from tests.support.reconciling import reconcile


async def _age(house: House, campaign: UUID) -> None:
    """As if the last command was a while ago."""
    async with transaction(house.sessions) as session:
        statement = "UPDATE campaigns SET updated_at = now() - interval '2 minutes' WHERE id = :id"
        await execute(session, statement, {"id": campaign})


async def _launch(desk: Desk, number: int, **changes: Any) -> UUID:
    """Without its workflow: who wrote it down died before it could start it."""
    campaign_id = (await desk.command("create", body(await desk.recipients(number), **changes))).campaign.id
    await desk.command("launch", campaign_id)
    return campaign_id


async def test_one_that_was_never_started_is_started_once(house: House) -> None:
    desk = Desk(house)
    campaign = await _launch(desk, 2)
    assert not (await reconcile(house)).started["campaign"], "it may still be in the API's hands"
    await _age(house, campaign)
    assert (await reconcile(house)).started["campaign"] == 1
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 2}
    assert not (await reconcile(house)).started["campaign"]


async def test_one_that_an_event_launched_while_its_bridge_died(house: House) -> None:
    desk = Desk(house)
    made = launch(await desk.recipients(1))
    campaign = event_uuid(SOURCE, made["id"])
    await house.command_campaigns(made, tell=False)
    await _age(house, campaign)
    assert (await reconcile(house)).started["campaign"] == 1
    await house.command_campaigns(made)  # the record is read once more
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert len(house.accepted(Channel.SMS, campaign)) == 1


async def test_one_that_was_terminated_goes_on_and_sends_nothing_twice(house: House) -> None:
    desk = Desk(house)
    hold = house.providers[Channel.SMS].hold_next()
    campaign = await desk.launch(body(await desk.recipients(3), rate={"per_second": 1}))
    await hold.begun.wait()
    await desk.handle(campaign).terminate("by mistake")
    hold.release.set()
    await _age(house, campaign)
    assert (await reconcile(house)).started["campaign"] == 1
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 3}
    assert len(house.accepted(Channel.SMS, campaign)) == 3


async def test_one_that_was_cancelled_while_it_had_no_workflow_ends_all_its_messages(house: House) -> None:
    desk = Desk(house)
    campaign = await desk.launch(body(await desk.recipients(3), rate={"per_second": 0.01}))

    async def is_prepared() -> bool:
        return (await desk.account(campaign)).get(MessageStatus.SENT, 0) > 0

    await until(is_prepared)
    await desk.handle(campaign).terminate("by mistake")
    await desk.command("cancel", campaign)
    await _age(house, campaign)
    assert (await reconcile(house)).started["campaign"] == 1
    assert await desk.handle(campaign).result() == CampaignState.CANCELLED
    async with house.sessions() as session:
        statement = "SELECT count(*) FROM messages WHERE origin_id = :id AND status IN ('pending', 'sending')"
        assert (await execute(session, statement, {"id": campaign})).scalar_one() == 0


async def test_commands_that_its_workflow_never_heard_of(house: House) -> None:
    desk = Desk(house)
    far = datetime.now(UTC) + timedelta(days=7)
    moved, cancelled, untouched = [await desk.launch(body(await desk.recipients(1)), at=far) for _ in range(3)]
    for campaign in (moved, cancelled, untouched):
        await _until_waiting(desk, campaign)
    await desk.command("reschedule", moved, at=datetime.now(UTC) - timedelta(minutes=1))
    await desk.command("cancel", cancelled)
    async with transaction(house.sessions) as session:  # it should have begun two minutes ago
        statement = "UPDATE campaigns SET starts_at = now() - interval '2 minutes' WHERE id = :id"
        await execute(session, statement, {"id": moved})
    for campaign in (moved, cancelled, untouched):
        await _age(house, campaign)
    assert (await reconcile(house)).started["campaign_untold"] == 2
    assert await desk.handle(moved).result() == CampaignState.COMPLETED
    assert await desk.handle(cancelled).result() == CampaignState.CANCELLED
    assert await desk.state(untouched) == CampaignState.SCHEDULED
    await desk.command("cancel", untouched)
    await desk.wake(untouched)


async def _until_waiting(desk: Desk, campaign: UUID) -> None:
    async def is_waiting() -> bool:
        found = (await desk.handle(campaign).describe()).search_attributes
        return found.get("DeliveryStatus") == [str(CampaignState.SCHEDULED)]

    await until(is_waiting)


def _unmended() -> float:
    return REGISTRY.get_sample_value("tidings_reconciliation_unmended_total", {"kind": "campaign"}) or 0


async def test_one_whose_workflow_has_completed_is_only_reported(house: House) -> None:
    desk = Desk(house)
    campaign = await desk.launch(body(await desk.recipients(1)))
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    async with transaction(house.sessions) as session:  # a ledger that was set back
        await execute(session, "UPDATE campaigns SET state = 'running' WHERE id = :id", {"id": campaign})
    await _age(house, campaign)
    before = _unmended()
    assert not (await reconcile(house)).started["campaign"]
    assert _unmended() == before + 1
    assert len(house.accepted(Channel.SMS, campaign)) == 1
    async with transaction(house.sessions) as session:
        await execute(session, "UPDATE campaigns SET state = 'completed' WHERE id = :id", {"id": campaign})
