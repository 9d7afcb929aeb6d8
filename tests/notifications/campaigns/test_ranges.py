"""A range is held by one try at a time: an older one claims nothing, and its open calls have an unknown outcome."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from activities import lanes
from notifications.campaigns.ranges import ANSWER_WINDOW, ClaimedMessage, Hold, RangeLedger, is_claimed
from notifications.database import Sessions, execute, transaction
from notifications.ledger import Ledger, Result
from notifications.statuses import AttemptOutcome, CampaignState
from tests.support.campaigns import change_campaign, insert_campaign, statuses_of

NOW = datetime.now(UTC)
LOST = f"claimed_at = now() - interval '{ANSWER_WINDOW.total_seconds()} seconds'"  # nobody answers any more


@pytest.fixture
def ranges(sessions: Sessions) -> RangeLedger:
    return RangeLedger(sessions, process="worker-a")


async def begin(ranges: RangeLedger, campaign: UUID) -> Hold:
    hold = await ranges.begin(campaign, 1, 1)
    assert hold is not None
    return hold


async def claim(ranges: RangeLedger, hold: Hold, *, after: int = 0, limit: int = 50) -> list[ClaimedMessage]:
    return await ranges.claim(hold, after=after, limit=limit, provider="smtp")


async def record(ledger: Ledger, hold: Hold, claimed: list[ClaimedMessage], outcome: AttemptOutcome) -> None:
    await ledger.record(
        [Result(hold.campaign_id, each.seq, each.attempt, "smtp", outcome, NOW, NOW, stick=False) for each in claimed]
    )


async def update(sessions: Sessions, campaign: UUID, changes: str) -> None:
    async with transaction(sessions) as session:
        await execute(session, f"UPDATE messages SET {changes} WHERE origin_id = :id", {"id": campaign})


async def test_a_range_is_claimed_in_order_sent_and_finished(ranges: RangeLedger, ledger: Ledger, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=120)
    hold = await begin(ranges, campaign)
    seen: list[int] = []
    while claimed := await claim(ranges, hold, after=seen[-1] if seen else 0):
        assert all(map(is_claimed, claimed))
        seen += [each.seq for each in claimed]
        await record(ledger, hold, claimed, AttemptOutcome.ACCEPTED)
    assert seen == list(range(1, 121))
    assert await statuses_of(sessions, campaign) == {"sent": 120}
    left = await ranges.left(hold)
    assert (left.is_ours, left.next_due) == (True, None)
    assert await ranges.finish(hold)
    assert await ranges.begin(campaign, 1, 1) is None


async def test_a_later_try_makes_the_earlier_one_claim_nothing(ranges: RangeLedger, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=10)
    earlier = await begin(ranges, campaign)
    later = await begin(ranges, campaign)
    assert await claim(ranges, earlier) == []
    assert not (await ranges.left(earlier)).is_ours
    assert not await ranges.finish(earlier)
    assert len(await claim(ranges, later)) == 10


@pytest.mark.parametrize(
    ("duplicates", "status", "attempt"), [("at_most_once", "unknown", 1), ("at_least_once", "sending", 2)]
)
async def test_a_call_whose_answer_is_lost_is_sent_again_only_where_duplicates_are_allowed(
    ranges: RangeLedger, sessions: Sessions, duplicates: str, status: str, attempt: int
):
    campaign = await insert_campaign(sessions, messages=1, duplicates=duplicates)
    await claim(ranges, await begin(ranges, campaign))
    await update(sessions, campaign, LOST)
    (found,) = await claim(ranges, await begin(ranges, campaign))
    assert (found.status, found.attempt) == (status, attempt)


@pytest.mark.parametrize("duplicates", ["at_most_once", "at_least_once"])
async def test_a_call_that_may_still_be_answered_is_left_to_the_try_that_began_it(
    ranges: RangeLedger, ledger: Ledger, sessions: Sessions, duplicates: str
):
    campaign = await insert_campaign(sessions, messages=1, duplicates=duplicates)
    earlier = await begin(ranges, campaign)
    claimed = await claim(ranges, earlier)
    await update(sessions, campaign, f"{LOST} + interval '1 second'")
    later = await begin(ranges, campaign)
    assert await claim(ranges, later) == []
    left = await ranges.left(later)
    assert left.next_due is not None
    assert timedelta() < left.next_due - datetime.now(UTC) <= timedelta(seconds=1)
    assert not await ranges.finish(later)
    await record(ledger, earlier, claimed, AttemptOutcome.ACCEPTED)
    assert await claim(ranges, later) == []
    assert await statuses_of(sessions, campaign) == {"sent": 1}
    assert await ranges.finish(later)


def test_no_call_is_answered_after_its_window():
    call = timedelta(seconds=lanes.CLAIM_TO_CALL_SECONDS + lanes.CALL_SECONDS + lanes.DEADLINE_GRACE_SECONDS)
    assert call + lanes.PATIENCE < ANSWER_WINDOW


async def test_the_same_try_leaves_its_own_calls_alone(ranges: RangeLedger, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=1)
    hold = await begin(ranges, campaign)
    assert len(await claim(ranges, hold)) == 1
    assert await claim(ranges, hold) == []


@pytest.mark.parametrize("state", [each for each in CampaignState if each is not CampaignState.RUNNING])
async def test_nothing_is_claimed_unless_the_campaign_runs(
    ranges: RangeLedger, sessions: Sessions, state: CampaignState
):
    campaign = await insert_campaign(sessions, messages=3)
    hold = await begin(ranges, campaign)
    await change_campaign(sessions, campaign, state=state)
    assert await claim(ranges, hold) == []
    assert (await ranges.left(hold)).state == state


async def test_who_opted_out_or_is_suppressed_meanwhile_is_skipped_in_the_claim(
    ranges: RangeLedger, sessions: Sessions
):
    campaign = await insert_campaign(sessions, messages=3)
    hold = await begin(ranges, campaign)
    async with transaction(sessions) as session:
        await execute(
            session,
            """INSERT INTO preferences (recipient_id, category, channel, opted_in, source, time)
               SELECT recipient_id, category, channel, false, 'unsubscribe', now() FROM messages
               WHERE origin_id = :id AND seq = 1""",
            {"id": campaign},
        )
        await execute(
            session,
            """INSERT INTO suppressions (address_ref, channel, scope, reason, source)
               SELECT address_ref, channel, 'all', 'hard_bounce', 'smtp' FROM messages
               WHERE origin_id = :id AND seq = 2""",
            {"id": campaign},
        )
    found = {each.seq: each.status for each in await claim(ranges, hold)}
    assert found == {1: "skipped", 2: "skipped", 3: "sending"}
    async with sessions() as session:
        reasons = await execute(
            session, "SELECT reason FROM messages WHERE origin_id = :id ORDER BY seq", {"id": campaign}
        )
        assert list(reasons.scalars()) == ["opted_out", "suppressed", None]


@pytest.mark.parametrize(("attempt", "status"), [(0, "skipped"), (1, "failed")])
async def test_what_expired_ends_in_the_claim(ranges: RangeLedger, sessions: Sessions, attempt: int, status: str):
    campaign = await insert_campaign(sessions, messages=1)
    await update(sessions, campaign, f"expires_at = now(), attempt = {attempt}")
    (found,) = await claim(ranges, await begin(ranges, campaign))
    assert found.status == status


async def test_what_was_released_is_claimed_again_under_the_same_number(ranges: RangeLedger, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=2)
    hold = await begin(ranges, campaign)
    await ranges.release(hold, await claim(ranges, hold))
    assert [each.attempt for each in await claim(ranges, hold)] == [1, 1]


async def test_a_zombie_releases_nothing_of_a_later_try(ranges: RangeLedger, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=1, duplicates="at_least_once")
    earlier = await begin(ranges, campaign)
    held = await claim(ranges, earlier)
    await update(sessions, campaign, LOST)
    assert len(await claim(ranges, await begin(ranges, campaign))) == 1
    await ranges.release(earlier, held)
    assert await statuses_of(sessions, campaign) == {"sending": 1}


async def test_what_failed_for_now_waits_until_it_is_due(ranges: RangeLedger, ledger: Ledger, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=1)
    hold = await begin(ranges, campaign)
    (found,) = await claim(ranges, hold)
    failed = Result(
        campaign,
        1,
        found.attempt,
        "smtp",
        AttemptOutcome.TRANSIENT,
        NOW,
        NOW,
        "busy",
        delay=timedelta(minutes=5),
        stick=False,
    )
    await ledger.record([failed])
    assert await claim(ranges, hold) == []
    left = await ranges.left(hold)
    assert left.next_due is not None
    assert left.next_due > datetime.now(UTC) + timedelta(minutes=4)
    assert not await ranges.finish(hold)


async def test_a_budget_that_is_spent_ends_as_failed_and_not_stuck(
    ranges: RangeLedger, ledger: Ledger, sessions: Sessions
):
    campaign = await insert_campaign(sessions, messages=1)
    hold = await begin(ranges, campaign)
    await update(sessions, campaign, "budget_since = now() - interval '1 hour'")
    await record(ledger, hold, await claim(ranges, hold), AttemptOutcome.TRANSIENT)
    assert await statuses_of(sessions, campaign) == {"failed": 1}


async def test_two_lanes_never_claim_the_same_message(ranges: RangeLedger, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=100)
    hold = await begin(ranges, campaign)
    found = await asyncio.gather(*(claim(ranges, hold, limit=30) for _ in range(4)))
    claimed = [each.seq for rows in found for each in rows]
    assert len(claimed) == len(set(claimed))


@pytest.mark.parametrize(("outcomes", "told"), [("campaign", 0), ("all", 2)])
async def test_outcomes_of_messages_are_told_only_where_they_are_asked_for(
    ranges: RangeLedger, ledger: Ledger, sessions: Sessions, outcomes: str, told: int
):
    campaign = await insert_campaign(sessions, messages=2, outcomes=outcomes)
    hold = await begin(ranges, campaign)
    await update(sessions, campaign, "expires_at = CASE seq WHEN 1 THEN now() ELSE expires_at END")
    claimed = [each for each in await claim(ranges, hold) if is_claimed(each)]
    await record(ledger, hold, claimed, AttemptOutcome.ACCEPTED)
    async with sessions() as session:
        rows = await execute(session, "SELECT count(*) FROM outbox WHERE origin_id = :id", {"id": campaign})
        assert rows.scalar() == told
