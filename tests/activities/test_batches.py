"""A batch before and while it sends: what keeps it from beginning, and that it is known to live."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.batches import CATEGORY_GONE, BatchEnd, BatchRequest, BatchResult
from activities.infrastructure import infrastructure
from notifications.campaigns.lifecycle import UnknownCategoryError
from notifications.statuses import Channel
from tests.activities.test_lanes import DATA
from tests.support.campaigns import insert_campaign, statuses_of
from tests.support.integration import House


async def test_a_category_that_is_gone_needs_somebody_and_burns_nobody(house: House):
    campaign = await insert_campaign(house.sessions, messages=3, category="winter-offers")
    batches = house.collaborators().batches
    result = await ActivityEnvironment().run(batches.send_batch, BatchRequest(campaign, 1, 1))
    assert result == BatchResult(BatchEnd.TROUBLE, reason=CATEGORY_GONE, needs_operator=True)
    assert await statuses_of(house.sessions, campaign) == {"pending": 3}


async def test_one_that_takes_long_is_known_to_live(house: House):
    """Else another worker would begin the same range after ten seconds."""
    hold = house.providers[Channel.EMAIL].hold_next()
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, started_time=datetime.now(UTC))
    environment.on_heartbeat = lambda *_: hold.release.set()
    campaign = await insert_campaign(house.sessions, messages=1, data=DATA)
    async with asyncio.timeout(20):
        result = await environment.run(house.collaborators().batches.send_batch, BatchRequest(campaign, 1, 1))
    assert result == BatchResult(BatchEnd.DONE, sent=1)


async def test_a_message_sent_on_its_own_says_in_temporal_what_to_do(house: House):
    campaign = await insert_campaign(house.sessions)
    with pytest.raises(ApplicationError, match="apply the catalogue") as raised:
        async with infrastructure():
            raise UnknownCategoryError(campaign, "winter-offers")
    assert not raised.value.non_retryable
