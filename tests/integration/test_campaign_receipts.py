"""What vendors report of a campaign's messages, from the sandbox through the webhook into its account."""

from sqlmodel import select

from notifications.statuses import Channel
from notifications.tables import Suppression
from tests.support.integration import until
from tests.support.marketing import Marketer


async def until_account(marketer: Marketer, campaign: str, expected: dict[str, int]) -> None:
    async def is_so() -> bool:
        found = await marketer.account(campaign)
        return {status: number for status, number in found.items() if number} == expected

    await until(is_so)


async def test_the_account_follows_what_is_reported(marketer: Marketer):
    await marketer.reporting.report("sendgrid", statuses=["processed", "delivered", "open"], double=True, reorder=True)
    campaign = await marketer.launch(Channel.EMAIL, await marketer.recipients(3, Channel.EMAIL))
    assert await marketer.result(campaign) == "completed"
    await until_account(marketer, campaign, {"opened": 3})


async def test_a_hard_bounce_is_counted_and_the_next_campaign_skips_the_address(marketer: Marketer):
    await marketer.reporting.report("sendgrid")
    house = marketer.house
    bouncing = await house.recipient(email="bounce@example.org")
    await house.opt_in(bouncing, "offers", Channel.EMAIL)
    (fine,) = await marketer.recipients(1, Channel.EMAIL)
    campaign = await marketer.launch(Channel.EMAIL, [bouncing, fine])
    assert await marketer.result(campaign) == "completed"
    await until_account(marketer, campaign, {"bounced": 1, "delivered": 1})
    async with house.sessions() as session:
        (suppression,) = (await session.exec(select(Suppression))).all()
    assert (suppression.channel, suppression.scope, suppression.reason) == ("email", "all", "hard_bounce")
    following = await marketer.launch(Channel.EMAIL, [bouncing])
    assert await marketer.result(following) == "completed"
    await until_account(marketer, following, {"skipped": 1})
    assert (await marketer.look(following))["account"]["skipped"] == {"suppressed": 1}


async def test_a_receipt_settles_a_message_whose_answer_was_lost(marketer: Marketer):
    await marketer.reporting.fault("sendgrid", reset="after")
    await marketer.reporting.report("sendgrid", delay_ms=2_000)
    recipients = await marketer.recipients(2, Channel.EMAIL)
    campaign = await marketer.launch(Channel.EMAIL, recipients)
    assert await marketer.result(campaign) == "completed"
    await until_account(marketer, campaign, {"delivered": 2})
    for recipient in recipients:
        assert await marketer.accepted(to=f"{recipient}@example.org") == 1
