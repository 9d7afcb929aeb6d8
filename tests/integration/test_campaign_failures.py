"""A vendor that fails for everybody burns nobody: ranges wait, or the campaign pauses and says why; on real servers."""

from collections.abc import Sequence
from typing import Any

from activities.temporal import campaign_workflow_id
from notifications.database import execute_alone
from notifications.statuses import Channel
from tests.support.integration import until
from tests.support.marketing import Marketer

MANY = 120
_ATTEMPTS = "SELECT outcome, count(*) FROM attempts WHERE origin_id = %(id)s GROUP BY outcome"

_PAUSED = 'WorkflowType="CampaignWorkflow" AND DeliveryStatus="paused"'  # as docs/operations/campaigns.md has it


async def attempts(marketer: Marketer, campaign: str) -> dict[str, int]:
    rows: Sequence[Any] = await execute_alone(marketer.house.sessions, _ATTEMPTS, {"id": campaign})
    return dict(rows)


async def breaker_is_open(marketer: Marketer, provider: str) -> bool:
    items = (await marketer.reporting.api.get("/v1/providers")).json()["items"]
    return any(each["state"] == "open" for each in items if each["name"] == provider)


async def is_listed(marketer: Marketer, campaign: str) -> bool:
    """Where operators look for it in the Temporal UI."""
    found = marketer.house.client.list_workflows(_PAUSED)
    return campaign_workflow_id(campaign, 1) in [each.id async for each in found]


async def is_gone(marketer: Marketer, campaign: str) -> bool:
    return not await is_listed(marketer, campaign)


async def test_sendgrid_takes_a_campaign(marketer: Marketer):
    campaign = await marketer.launch(Channel.EMAIL, await marketer.recipients(60, Channel.EMAIL))
    assert await marketer.result(campaign) == "completed"
    assert await marketer.account(campaign) == {"sent": 60}
    items = await marketer.items(campaign, provider="sendgrid")
    assert len({item["to"] for item in items}) == len({item["key"] for item in items}) == len(items) == 60


async def test_a_vendor_that_cannot_be_reached_is_waited_for(marketer: Marketer):
    recipients = await marketer.recipients(MANY, Channel.SMS)
    await marketer.reporting.vendors.take_down()
    campaign = await marketer.launch(Channel.SMS, recipients)
    await until(lambda: breaker_is_open(marketer, "twilio"))
    assert await attempts(marketer, campaign) == {}
    assert (await marketer.account(campaign)).keys() <= {"pending", "sending"}
    await marketer.reporting.vendors.bring_back()
    assert await marketer.result(campaign) == "completed"
    assert await marketer.account(campaign) == {"sent": MANY}
    assert await attempts(marketer, campaign) == {"accepted": MANY}
    assert not await breaker_is_open(marketer, "twilio")


async def test_a_vendor_that_asks_to_wait_is_left_alone_for_as_long(marketer: Marketer):
    recipients = await marketer.recipients(MANY, Channel.WHATSAPP)
    await marketer.reporting.fault("meta", throttle={"retry_after": 6}, fail_times=1)
    campaign = await marketer.launch(Channel.WHATSAPP, recipients)
    assert await marketer.result(campaign) == "completed"
    assert await marketer.account(campaign) == {"sent": MANY}
    assert await attempts(marketer, campaign) == {"accepted": MANY}


async def test_a_refused_account_pauses_the_campaign_with_the_reason_until_somebody_resumes_it_in_temporal(
    marketer: Marketer,
):
    recipients = await marketer.recipients(MANY, Channel.EMAIL)
    await marketer.reporting.fault("sendgrid", error={"status": 401})
    campaign = await marketer.launch(Channel.EMAIL, recipients)
    await marketer.until_state(campaign, "paused")
    assert (await marketer.look(campaign))["campaign"]["pause_reason"] == "sendgrid_http_401"
    await marketer.until_account(campaign, {"pending": MANY})
    assert await attempts(marketer, campaign) == {}
    await until(lambda: is_listed(marketer, campaign))
    handle = marketer.house.client.get_workflow_handle(campaign_workflow_id(campaign, 1))
    assert "sendgrid_http_401" in str(await handle.query("__temporal_workflow_metadata"))  # its *Current Details*
    await marketer.reporting.quiet()
    await handle.signal("resume")
    assert await marketer.result(campaign) == "completed"
    assert await marketer.account(campaign) == {"sent": MANY}
    await until(lambda: is_gone(marketer, campaign))
