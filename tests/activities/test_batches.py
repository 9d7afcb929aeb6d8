"""What ends a batch before anybody is claimed."""

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.batches import CATEGORY_GONE, BatchEnd, BatchRequest, BatchResult
from activities.infrastructure import infrastructure
from notifications.campaigns.lifecycle import UnknownCategoryError
from tests.support.integration import House
from tests.support.running_campaigns import insert_campaign, statuses_of


async def test_a_category_that_is_gone_needs_somebody_and_burns_nobody(house: House):
    campaign = await insert_campaign(house.sessions, messages=3, category="winter-offers")
    batches = house.collaborators().batches
    result = await ActivityEnvironment().run(batches.send_batch, BatchRequest(campaign, 1, 1))
    assert result == BatchResult(BatchEnd.TROUBLE, reason=CATEGORY_GONE, needs_operator=True)
    assert await statuses_of(house.sessions, campaign) == {"pending": 3}


async def test_a_message_sent_on_its_own_says_in_temporal_what_to_do(house: House):
    campaign = await insert_campaign(house.sessions)
    with pytest.raises(ApplicationError, match="apply the catalogue") as raised:
        async with infrastructure():
            raise UnknownCategoryError(campaign, "winter-offers")
    assert not raised.value.non_retryable
