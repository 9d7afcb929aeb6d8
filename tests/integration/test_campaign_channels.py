"""Campaigns on every channel through the vendors' own protocols; on real servers."""

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from notifications.statuses import Channel
from tests.support.marketing import Marketer
from tests.support.reporting import running_reporting

VENDORS = {Channel.EMAIL: "smtp", Channel.PUSH: "fcm", Channel.SMS: "twilio", Channel.WHATSAPP: "meta"}


@pytest.fixture(scope="module")
async def marketer(postgres_server: str, temporal_address: str) -> AsyncIterator[Marketer]:
    async with running_reporting(postgres_server, temporal_address, email_providers=("smtp",)) as running:
        yield Marketer(running)


@pytest.mark.parametrize("channel", VENDORS)
async def test_everybody_gets_it_once(marketer: Marketer, channel: Channel):
    campaign = await marketer.launch(channel, await marketer.recipients(60, channel))
    assert await marketer.result(campaign) == "completed"
    assert await marketer.account(campaign) == {"sent": 60}
    items = await marketer.items(campaign, provider=VENDORS[channel], limit=100)
    assert len({item["to"] for item in items}) == len({item["key"] for item in items}) == len(items) == 60
    assert {item["accepted_with_key"] for item in items} == {1}


async def test_each_device_of_a_recipient_gets_it(marketer: Marketer):
    recipients = await marketer.recipients(3, Channel.PUSH, devices=3)
    campaign = await marketer.launch(Channel.PUSH, recipients)
    assert await marketer.result(campaign) == "completed"
    assert await marketer.account(campaign) == {"sent": 9}
    assert (await marketer.look(campaign))["account"]["recipients"] == 3
    items = await marketer.items(campaign, provider="fcm")
    assert len({item["to"] for item in items}) == 9
    told = Counter(item["content"]["body"] for item in items)
    assert told == {f"For {recipient}": 3 for recipient in recipients}


async def test_a_mail_of_a_campaign_can_be_unsubscribed_from(marketer: Marketer):
    campaign = await marketer.launch(Channel.EMAIL, await marketer.recipients(1, Channel.EMAIL))
    assert await marketer.result(campaign) == "completed"
    (item,) = await marketer.items(campaign, provider="smtp")
    headers = dict(item["content"]["headers"])
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["List-Unsubscribe"].strip("<>") in item["content"]["text"]
