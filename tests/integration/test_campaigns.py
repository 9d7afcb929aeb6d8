"""Campaigns from launch to account, on real servers with providers in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from temporalio.client import WorkflowHandle

from activities.starting import start_campaign
from activities.temporal import campaign_workflow_id, shard_workflow_id
from notifications.campaigns.accounts import count
from notifications.campaigns.body import CampaignBody
from notifications.campaigns.commands import Campaigns
from notifications.campaigns.lifecycle import Answer, Asked
from notifications.campaigns.rounds import NothingFailedError
from notifications.database import transaction
from notifications.ids import event_uuid
from notifications.providers.base import ErrorScope, PermanentDeliveryError, TransientDeliveryError
from notifications.statuses import CampaignState, Channel, MessageStatus
from notifications.tables import Campaign
from tests.support.campaigns import statuses_of
from tests.support.events import SOURCE, call_off, launch, unique
from tests.support.integration import House, until

ANA = Asked(by="ana")
TEXT = "{{ data.discount }} off for {{ recipient.id | default('you', true) }}"


def body(recipients: list[str], **changes: Any) -> CampaignBody:
    values: dict[str, Any] = {
        "name": "Spring sale",
        "category": "offers",
        "channel": "sms",
        "content": {
            "default_locale": "en",
            "data": {"type": "object", "required": ["discount"], "properties": {"discount": {"type": "string"}}},
            "templates": {
                "sms": {"en": {"body": "{{ data.discount }} off for {{ recipient.id | default('you', true) }}"}}
            },
        },
        "audience": {"recipients": recipients},
        "data": {"discount": "20 %"},
    }
    return CampaignBody.model_validate(values | changes)


class Desk:
    """What a marketer does, as the API does it."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def recipients(self, number: int) -> list[str]:
        found = [await self.house.recipient() for _ in range(number)]
        for recipient in found:
            await self.house.opt_in(recipient, "offers", Channel.SMS)
        return found

    async def command(self, name: str, *arguments: Any, **options: Any) -> Answer:
        catalogue = await self.house.catalogue.current()
        async with transaction(self.house.sessions) as session:
            campaigns = Campaigns(session, catalogue, self.house.settings)
            return await getattr(campaigns, name)(*arguments, ANA, **options)

    async def launch(self, wanted: CampaignBody, *, at: datetime | None = None) -> UUID:
        campaign_id = (await self.command("create", wanted)).campaign.id
        await self.command("launch", campaign_id, at=at)
        await start_campaign(self.house.client, campaign_id, 1, name=wanted.name)
        return campaign_id

    def handle(self, campaign_id: UUID) -> WorkflowHandle[Any, Any]:
        return self.house.client.get_workflow_handle(campaign_workflow_id(campaign_id, 1))

    async def wake(self, campaign_id: UUID) -> None:
        await self.handle(campaign_id).signal("look_again")

    async def state(self, campaign_id: UUID) -> str:
        async with self.house.sessions() as session:
            return (await session.get_one(Campaign, campaign_id)).state

    async def until_state(self, campaign_id: UUID, state: CampaignState) -> None:
        async def is_there() -> bool:
            return await self.state(campaign_id) == state

        await until(is_there)

    async def account(self, campaign_id: UUID) -> dict[MessageStatus, int]:
        return dict((await count(self.house.sessions, campaign_id)).by_status)


async def test_everybody_gets_it_once_and_the_account_adds_up(house: House):
    desk = Desk(house)
    recipients = await desk.recipients(7)
    stranger = unique("nobody")
    refuser = await house.recipient()  # has not opted in
    campaign = await desk.launch(body([*recipients, refuser, stranger]))
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    sent = house.accepted(Channel.SMS, campaign)
    assert sorted(each.message.content.body for each in sent) == sorted(f"20 % off for {each}" for each in recipients)
    account = await count(house.sessions, campaign)
    assert account.by_status == {MessageStatus.SENT: 7, MessageStatus.SKIPPED: 2}
    assert account.skipped == {"opted_out": 1, "unknown_recipient": 1}
    assert account.targeted == 9


async def test_an_event_launches_it_once_and_another_cancels_it(house: House):
    desk = Desk(house)
    recipients = await desk.recipients(3)
    made, later = launch(recipients), launch(recipients, sendat="2099-01-01T00:00:00Z")
    campaign, scheduled = (event_uuid(SOURCE, each["id"]) for each in (made, later))
    await house.command_campaigns(made, later)
    await house.command_campaigns(made)
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 3}
    assert len(house.accepted(Channel.SMS, campaign)) == 3
    await house.command_campaigns(made, call_off(scheduled), call_off(campaign))
    assert await desk.handle(scheduled).result() == CampaignState.CANCELLED
    assert await desk.state(campaign) == CampaignState.COMPLETED
    assert len(house.accepted(Channel.SMS, campaign)) == 3


async def test_a_paused_campaign_sends_nothing_until_it_is_resumed(house: House):
    desk = Desk(house)
    hold = house.providers[Channel.SMS].hold_next()
    campaign = await desk.launch(body(await desk.recipients(3), rate={"per_second": 1}))
    await hold.begun.wait()
    await desk.command("pause", campaign)
    await desk.wake(campaign)
    hold.release.set()

    async def is_quiet() -> bool:
        return (await desk.account(campaign)).get(MessageStatus.SENDING, 0) == 0

    await until(is_quiet)
    assert await desk.account(campaign) == {MessageStatus.SENT: 1, MessageStatus.PENDING: 2}
    await desk.command("resume", campaign)
    await desk.wake(campaign)
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 3}
    assert len(house.accepted(Channel.SMS, campaign)) == 3


async def test_from_a_cancel_on_what_waits_is_cancelled(house: House):
    desk = Desk(house)
    hold = house.providers[Channel.SMS].hold_next()
    campaign = await desk.launch(body(await desk.recipients(3), rate={"per_second": 1}))
    await hold.begun.wait()
    await desk.command("cancel", campaign)
    assert (await desk.account(campaign))[MessageStatus.CANCELLED] == 2
    await desk.wake(campaign)
    hold.release.set()
    assert await desk.handle(campaign).result() == CampaignState.CANCELLED
    assert await desk.account(campaign) == {MessageStatus.SENT: 1, MessageStatus.CANCELLED: 2}
    assert await statuses_of(house.sessions, campaign) == {"sent": 1, "cancelled": 2}


async def test_a_shard_that_somebody_terminates_begins_again_and_sends_nothing_twice(house: House):
    desk = Desk(house)
    hold = house.providers[Channel.SMS].hold_next()
    campaign = await desk.launch(body(await desk.recipients(3), rate={"per_second": 1}))
    await hold.begun.wait()
    await house.client.get_workflow_handle(shard_workflow_id(campaign, 1, 1)).terminate("by a test")
    hold.release.set()
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 3}
    assert len(house.accepted(Channel.SMS, campaign)) == 3


async def test_it_waits_for_its_time_and_takes_another(house: House):
    desk = Desk(house)
    campaign = await desk.launch(body(await desk.recipients(1)), at=datetime.now(UTC) + timedelta(days=7))
    await desk.command("reschedule", campaign, at=datetime.now(UTC))
    await desk.wake(campaign)
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED


async def test_a_fault_of_the_account_pauses_it_and_burns_nobody(house: House):
    desk = Desk(house)
    wrong = PermanentDeliveryError("twilio_20003", scope=ErrorScope.CONFIG)
    house.providers[Channel.SMS].script([wrong])
    campaign = await desk.launch(body(await desk.recipients(2), rate={"per_second": 1}))
    await desk.until_state(campaign, CampaignState.PAUSED)
    async with house.sessions() as session:
        assert (await session.get_one(Campaign, campaign)).pause_reason == "twilio_20003"
    await desk.handle(campaign).signal("resume")
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 2}


async def test_who_was_refused_for_now_is_tried_again(house: House):
    desk = Desk(house)
    house.providers[Channel.SMS].script([TransientDeliveryError("twilio_30001")])
    campaign = await desk.launch(body(await desk.recipients(2)))
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 2}


async def test_what_failed_is_sent_once_more_as_the_next_round(house: House):
    desk = Desk(house)
    house.providers[Channel.SMS].script([PermanentDeliveryError("twilio_30005", scope=ErrorScope.RECIPIENT)])
    campaign = await desk.launch(body(await desk.recipients(3)))
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 2, MessageStatus.FAILED: 1}
    await desk.command("retry_failed", campaign)
    await start_campaign(house.client, campaign, 2, name="Spring sale")
    again = house.client.get_workflow_handle(campaign_workflow_id(campaign, 2))
    assert await again.result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.SENT: 3}
    assert len(house.accepted(Channel.SMS, campaign)) == 3
    with pytest.raises(NothingFailedError):
        await desk.command("retry_failed", campaign)
