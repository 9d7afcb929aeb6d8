"""After a campaign was called off every message ends, and calls under way are left to who began them."""

from datetime import UTC, datetime, timedelta

import pytest

from notifications.campaigns.ranges import ANSWER_WINDOW, RangeLedger
from notifications.campaigns.settling import Settled, Settling
from notifications.database import Sessions, execute, transaction
from notifications.ledger import Ledger, Result
from notifications.statuses import AttemptOutcome, CampaignState
from tests.support.campaigns import change_campaign, insert_campaign, statuses_of

NOW = datetime.now(UTC)


@pytest.fixture
def settling(sessions: Sessions) -> Settling:
    return Settling(sessions)


@pytest.mark.parametrize("duplicates", ["at_most_once", "at_least_once"])
async def test_what_waits_is_cancelled_and_a_lost_answer_is_unknown(
    settling: Settling, sessions: Sessions, duplicates: str
):
    campaign = await insert_campaign(sessions, messages=5, duplicates=duplicates, outcomes="all")
    ranges = RangeLedger(sessions, process="dead")
    hold = await ranges.begin(campaign, 1, 1)
    assert hold is not None
    await ranges.claim(hold, after=0, limit=2, provider="smtp")
    await change_campaign(sessions, campaign, state=CampaignState.CANCELLED)
    assert await settling.settle_block(campaign, 0) == Settled(rows=3, unknown=0, open=2, next=None)
    assert await statuses_of(sessions, campaign) == {"cancelled": 3, "sending": 2}
    async with transaction(sessions) as session:
        aged = "UPDATE messages SET claimed_at = claimed_at - CAST(:age AS interval) WHERE origin_id = :id"
        await execute(session, aged, {"id": campaign, "age": ANSWER_WINDOW})
    assert await settling.settle_block(campaign, 0) == Settled(rows=2, unknown=2, open=0, next=None)
    assert await statuses_of(sessions, campaign) == {"cancelled": 3, "unknown": 2}
    async with sessions() as session:
        told = await execute(
            session,
            "SELECT status, reason, count(*) FROM outbox WHERE origin_id = :id GROUP BY 1, 2 ORDER BY 1",
            {"id": campaign},
        )
        assert [tuple(row) for row in told] == [("cancelled", "cancelled", 3), ("unknown", "answer_lost", 2)]


async def test_an_answer_that_comes_in_time_counts(settling: Settling, ledger: Ledger, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=1)
    ranges = RangeLedger(sessions, process="alive")
    hold = await ranges.begin(campaign, 1, 1)
    assert hold is not None
    (claimed,) = await ranges.claim(hold, after=0, limit=1, provider="smtp")
    await change_campaign(sessions, campaign, state=CampaignState.CANCELLED)
    assert (await settling.settle_block(campaign, 0)).open == 1
    accepted = Result(campaign, 1, claimed.attempt, "smtp", AttemptOutcome.ACCEPTED, NOW, NOW, stick=False)
    await ledger.record([accepted])
    assert await settling.settle_block(campaign, 0) == Settled(rows=0, unknown=0, open=0, next=None)
    assert await statuses_of(sessions, campaign) == {"sent": 1}


async def test_many_are_settled_block_by_block_and_twice_is_once(sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=25)
    settling = Settling(sessions, answer_window=timedelta(), block=10)
    await change_campaign(sessions, campaign, state=CampaignState.CANCELLED)
    after: int | None = 0
    seen = []
    while after is not None:
        block = await settling.settle_block(campaign, after)
        assert (await settling.settle_block(campaign, after)).rows == 0
        seen.append(block.rows)
        after = block.next
    assert seen == [10, 10, 5]
    assert await statuses_of(sessions, campaign) == {"cancelled": 25}
