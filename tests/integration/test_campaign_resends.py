"""A message of a campaign whose answer was lost, sent once more by a workflow of its own."""

from uuid import UUID

from activities.starting import start_campaign_resend
from activities.temporal import campaign_resend_workflow_id
from notifications.campaigns.resends import Resends
from notifications.database import execute, transaction
from notifications.providers.base import UnknownOutcome
from notifications.statuses import CampaignState, Channel, MessageStatus
from tests.integration.test_campaigns import Desk, body
from tests.support.integration import House
from tests.support.reconciling import reconcile


async def _unknown(house: House, desk: Desk) -> UUID:
    house.providers[Channel.SMS].script([UnknownOutcome("twilio_timeout")])
    campaign = await desk.launch(body(await desk.recipients(2), rate={"per_second": 1}))
    assert await desk.handle(campaign).result() == CampaignState.COMPLETED
    assert await desk.account(campaign) == {MessageStatus.UNKNOWN: 1, MessageStatus.SENT: 1}
    return campaign


async def test_it_is_rendered_and_sent_once_more(house: House) -> None:
    desk = Desk(house)
    campaign = await _unknown(house, desk)
    round_number = await Resends(house.sessions).free(campaign, 1)
    assert round_number == 2
    for _ in range(2):
        await start_campaign_resend(house.client, campaign, seq=1, round_number=round_number)
    handle = house.client.get_workflow_handle(campaign_resend_workflow_id(campaign, 1, 2))
    assert await handle.result() == MessageStatus.SENT
    assert await desk.account(campaign) == {MessageStatus.SENT: 2}
    first, again = sorted(house.accepted(Channel.SMS, campaign), key=lambda each: each.message.attempt)
    assert (again.message.seq, again.message.attempt, first.message.attempt) == (1, 2, 1)
    assert again.message.content.body.startswith("20 % off for ")
    assert [each[2] for each in await house.attempts(campaign)] == ["unknown", "accepted", "accepted"]


async def test_one_that_nobody_started_is_started(house: House) -> None:
    desk = Desk(house)
    campaign = await _unknown(house, desk)
    await Resends(house.sessions).free(campaign, 1)
    assert not (await reconcile(house)).started["campaign_resend"], "it may be in the API's hands"
    async with transaction(house.sessions) as session:
        statement = "UPDATE campaigns SET resend_at = now() - interval '2 minutes' WHERE id = :id"
        await execute(session, statement, {"id": campaign})
    assert (await reconcile(house)).started["campaign_resend"] == 1
    handle = house.client.get_workflow_handle(campaign_resend_workflow_id(campaign, 1, 2))
    assert await handle.result() == MessageStatus.SENT
    assert not (await reconcile(house)).started["campaign_resend"]
    assert await desk.account(campaign) == {MessageStatus.SENT: 2}
