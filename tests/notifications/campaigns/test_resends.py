"""An `unknown` message of a campaign is sent once more on its own: nothing else takes it meanwhile."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from notifications.campaigns.ranges import RangeLedger
from notifications.campaigns.resends import Resends, UnknownMessageError
from notifications.campaigns.rounds import Rounds
from notifications.database import Sessions, execute, transaction
from tests.support.campaigns import campaign_of, change_campaign, insert_campaign, statuses_of


@pytest.fixture
def resends(sessions: Sessions) -> Resends:
    return Resends(sessions)


async def _set(sessions: Sessions, campaign: UUID, seq: int, assignments: str) -> None:
    async with transaction(sessions) as session:
        statement = f"UPDATE messages SET {assignments} WHERE origin_id = :id AND seq = :seq"
        await execute(session, statement, {"id": campaign, "seq": seq})


async def _completed(sessions: Sessions) -> UUID:
    """Two messages, the first of which is unknown."""
    now = datetime.now(UTC)
    times = {"starts_at": now, "expires_at": now + timedelta(days=1)}
    campaign = await insert_campaign(sessions, messages=2, state="completed", **times)
    await _set(sessions, campaign, 1, "status = 'unknown', reason = 'answer_lost', attempt = 1")
    await _set(sessions, campaign, 2, "status = 'sent', attempt = 1")
    return campaign


async def test_it_is_freed_once(sessions: Sessions, resends: Resends) -> None:
    campaign = await _completed(sessions)
    assert await resends.free(campaign, 1) == 2
    assert await resends.free(campaign, 1) is None
    state = await resends.look(campaign, 1)
    assert (state.status, state.round, state.resend_round) == ("pending", 2, 2)
    assert (await campaign_of(sessions, campaign)).resend_at is not None
    assert await resends.free(campaign, 2) is None, "it was sent"
    with pytest.raises(UnknownMessageError):
        await resends.look(campaign, 3)


@pytest.mark.parametrize("state", ["running", "paused", "cancelled"])
async def test_only_of_a_campaign_that_has_completed(sessions: Sessions, resends: Resends, state: str) -> None:
    campaign = await _completed(sessions)
    await change_campaign(sessions, campaign, state=state)
    assert await resends.free(campaign, 1) is None
    assert (await campaign_of(sessions, campaign)).resend_at is None


async def test_not_past_its_time(sessions: Sessions, resends: Resends) -> None:
    campaign = await _completed(sessions)
    await _set(sessions, campaign, 1, "expires_at = now()")
    assert await resends.free(campaign, 1) is None


async def test_a_next_round_leaves_it_alone(sessions: Sessions, resends: Resends) -> None:
    campaign = await _completed(sessions)
    await _set(sessions, campaign, 2, "status = 'failed'")
    await resends.free(campaign, 1)
    await change_campaign(sessions, campaign, state="preparing", round=2, prepared_to=None, prepared_at=None)
    assert (await Rounds(sessions).reopen_block(campaign)).rows == 1
    await change_campaign(sessions, campaign, state="running")
    await _set(sessions, campaign, 2, "due_at = now()")
    ledger = RangeLedger(sessions, process="a test", answer_window=timedelta())
    hold = await ledger.begin(campaign, 2, 1)
    assert hold is not None
    claimed = await ledger.claim(hold, after=0, limit=10, provider="memory")
    assert [message.seq for message in claimed] == [2]
    await _set(sessions, campaign, 2, "status = 'sent'")
    assert (await ledger.left(hold)).next_due is None
    assert await ledger.finish(hold)


async def test_a_resend_that_failed_is_part_of_the_next_round(sessions: Sessions, resends: Resends) -> None:
    campaign = await _completed(sessions)
    await resends.free(campaign, 1)
    await _set(sessions, campaign, 1, "status = 'failed'")
    await change_campaign(sessions, campaign, state="preparing", round=2, prepared_to=None, prepared_at=None)
    assert (await Rounds(sessions).reopen_block(campaign)).rows == 1
    await change_campaign(sessions, campaign, state="running")
    await _set(sessions, campaign, 1, "due_at = now()")
    ledger = RangeLedger(sessions, process="a test")
    hold = await ledger.begin(campaign, 2, 1)
    assert hold is not None
    assert [message.seq for message in await ledger.claim(hold, after=0, limit=10, provider="memory")] == [1]


async def test_past_its_time_it_ends(sessions: Sessions, resends: Resends) -> None:
    campaign = await _completed(sessions)
    await resends.free(campaign, 1)
    await resends.expire(campaign, 1)
    assert (await resends.look(campaign, 1)).status == "pending"
    await _set(sessions, campaign, 1, "expires_at = now()")
    await resends.expire(campaign, 1)
    assert await statuses_of(sessions, campaign) == {"failed": 1, "sent": 1}
    await _set(sessions, campaign, 1, "status = 'sending', claimed_at = now() - interval '1 minute'")
    await resends.expire(campaign, 1)
    assert await statuses_of(sessions, campaign) == {"unknown": 1, "sent": 1}


async def test_what_has_not_begun_can_be_cancelled(sessions: Sessions, resends: Resends) -> None:
    campaign = await _completed(sessions)
    await resends.cancel(campaign, 1)
    assert (await resends.look(campaign, 1)).status == "unknown"
    await resends.free(campaign, 1)
    await resends.cancel(campaign, 1)
    assert await statuses_of(sessions, campaign) == {"cancelled": 1, "sent": 1}


async def test_it_is_noted_until_it_has_ended(sessions: Sessions, resends: Resends) -> None:
    campaign = await _completed(sessions)
    await resends.free(campaign, 1)

    async def noted() -> list[tuple[int | None, int | None]]:
        return [(each.seq, each.round) for each in await resends.noted(1_000) if each.campaign_id == campaign]

    assert await noted() == [], "whoever freed it may be about to start it"
    async with transaction(sessions) as session:
        statement = "UPDATE campaigns SET resend_at = now() - interval '2 minutes' WHERE id = :id"
        await execute(session, statement, {"id": campaign})
    assert await noted() == [(1, 2)]
    await _set(sessions, campaign, 1, "status = 'sent'")
    assert await noted() == [(None, None)]
    (found,) = [each for each in await resends.noted(1_000) if each.campaign_id == campaign]
    await resends.forget(found)
    assert await noted() == []
    assert (await campaign_of(sessions, campaign)).resend_at is None
