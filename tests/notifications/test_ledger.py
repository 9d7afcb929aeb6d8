"""Claim → send → record: the fence, the policies and the budget."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import select

from activities.sending import CALL_SECONDS, CLAIM_TO_CALL_SECONDS, DEADLINE_GRACE_SECONDS
from notifications.database import Sessions, transaction
from notifications.ledger import CALL_WINDOW, Ledger, Result, Try, Verdict
from notifications.statuses import AttemptOutcome, MessageStatus
from notifications.tables import Attempt, Notification
from tests.support.ledger import insert_messages
from tests.support.ledger_steps import SECOND, T0, change, claim, message, outcomes, record
from workflows.retries import SEND_START_TO_CLOSE


async def test_a_claimed_and_accepted_message_is_sent_and_told_once(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    claimed = await claim(ledger, origin)
    assert (claimed.verdict, claimed.attempt, claimed.status) == (Verdict.CLAIMED, 1, MessageStatus.SENDING)
    for _ in range(2):  # recorded twice, for example after a lost answer from Postgres
        assert (await record(ledger, origin, 1, AttemptOutcome.ACCEPTED)).status is MessageStatus.SENT
    assert await outcomes(sessions, origin) == [("sent", False, 1)]
    assert (await claim(ledger, origin, T0 + SECOND)).verdict is Verdict.FINAL
    async with sessions() as session:
        attempts = (await session.exec(select(Attempt).where(Attempt.origin_id == origin))).all()
        notification = await session.get(Notification, origin)
    assert [(row.attempt, row.outcome, row.provider_message_id) for row in attempts] == [(1, "accepted", "q-1")]
    assert notification is not None
    assert notification.tried_at is not None


async def test_many_rows_are_claimed_and_recorded_in_one_call(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions, count=50)
    claims = await ledger.claim([Try(origin, seq, 1, T0, "smtp") for seq in range(50, 0, -1)])
    assert [found.seq for found in claims] == list(range(1, 51))
    now = datetime.now(UTC)
    results = [Result(origin, found.seq, 1, "smtp", AttemptOutcome.ACCEPTED, now, now) for found in claims]
    assert {found.status for found in await ledger.record(results)} == {MessageStatus.SENT}


async def test_the_same_try_goes_on_only_in_its_own_process(ledger: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    # The same process, to which Postgres' answer was lost.
    await claim(Ledger(sessions, process="worker-a"), origin)
    again = await claim(ledger, origin)
    assert (again.verdict, again.attempt) == (Verdict.CLAIMED, 1)
    assert (await claim(other, origin)).verdict is Verdict.SUPERSEDED


async def test_the_same_try_does_not_go_on_once_its_call_may_have_begun(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    mine = await claim(ledger, origin)
    assert (await claim(ledger, origin)).verdict is Verdict.SUPERSEDED
    await ledger.release([mine])
    assert (await claim(ledger, origin)).verdict is Verdict.CLAIMED


async def test_a_higher_try_takes_over_and_a_lower_one_sends_nothing(ledger: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin, T0 + SECOND)
    assert (await claim(other, origin, T0)).verdict is Verdict.SUPERSEDED
    taken = await claim(other, origin, T0 + 2 * SECOND)
    assert (taken.verdict, taken.attempt, taken.failures) == (Verdict.CLAIMED, 2, 1)


@pytest.mark.parametrize("duplicates", ["at_least_once", "at_most_once"])
async def test_nobody_takes_over_while_the_call_may_still_be_under_way(sessions: Sessions, duplicates: str):
    mine, other = Ledger(sessions, process="worker-a"), Ledger(sessions, process="worker-b")
    origin = await insert_messages(sessions, duplicates=duplicates)
    await claim(mine, origin)
    waiting = await claim(other, origin, T0 + SECOND)
    assert (waiting.verdict, waiting.status) == (Verdict.SUPERSEDED, MessageStatus.SENDING)
    assert (await record(mine, origin, 1, AttemptOutcome.ACCEPTED)).status is MessageStatus.SENT
    assert (await claim(other, origin, T0 + SECOND)).verdict is Verdict.FINAL


async def test_a_call_that_must_have_ended_is_taken_over(sessions: Sessions):
    mine, other = Ledger(sessions, process="worker-a"), Ledger(sessions, process="worker-b")
    origin = await insert_messages(sessions)
    await claim(mine, origin)
    await change(sessions, origin, claimed_at=datetime.now(UTC) - CALL_WINDOW)
    assert (await claim(other, origin, T0 + SECOND)).verdict is Verdict.CLAIMED


def test_a_call_is_over_within_its_window_and_the_next_try_comes_after_it():
    longest = CLAIM_TO_CALL_SECONDS + CALL_SECONDS + DEADLINE_GRACE_SECONDS
    assert timedelta(seconds=longest) <= CALL_WINDOW < SEND_START_TO_CLOSE


async def test_a_lost_answer_of_an_at_most_once_message_is_unknown(ledger: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions, duplicates="at_most_once")
    await claim(ledger, origin)
    found = await claim(other, origin, T0 + SECOND)
    assert (found.verdict, found.status, found.reason) == (Verdict.ENDED, MessageStatus.UNKNOWN, "answer_lost")
    assert await outcomes(sessions, origin) == [("unknown", False, 1)]
    # The zombie's answer arrives after all: accepted is the truth.
    assert (await record(ledger, origin, 1, AttemptOutcome.ACCEPTED)).status is MessageStatus.SENT


async def test_only_the_current_attempt_may_report_a_failure(ledger: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    await claim(other, origin, T0 + SECOND)
    late = await record(ledger, origin, 1, AttemptOutcome.REJECTED_MESSAGE)
    assert (late.status, late.attempt) == (MessageStatus.SENDING, 2)


async def test_nothing_is_resent_after_a_cancel_even_by_takeover(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    async with transaction(sessions) as session:
        answers = await ledger.cancel(session, [origin])
    assert [(answer.seq, answer.answer) for answer in answers[origin]] == [(1, "too_late")]
    assert (await claim(ledger, origin, T0 + SECOND)).status is MessageStatus.UNKNOWN


@pytest.mark.parametrize(
    ("outcome", "end"),
    [
        (AttemptOutcome.TRANSIENT, MessageStatus.CANCELLED),
        (AttemptOutcome.REJECTED_CONFIG, MessageStatus.CANCELLED),
        (AttemptOutcome.UNKNOWN, MessageStatus.UNKNOWN),
        (AttemptOutcome.REJECTED_RECIPIENT, MessageStatus.FAILED),
        (AttemptOutcome.ACCEPTED, MessageStatus.SENT),
    ],
)
async def test_a_call_that_ends_after_a_cancel_waits_for_nobody(
    ledger: Ledger, sessions: Sessions, outcome: AttemptOutcome, end: MessageStatus
):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    async with transaction(sessions) as session:
        await ledger.cancel(session, [origin])
    found = await record(ledger, origin, 1, outcome)
    assert (found.status, found.stuck_reason) == (end, None)
    assert await outcomes(sessions, origin) == [(str(end), False, 1)]


async def test_a_pending_message_is_cancelled_once(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    for _ in range(2):
        async with transaction(sessions) as session:
            answers = await ledger.cancel(session, [origin])
        assert answers[origin][0].answer == "cancelled"
    assert await outcomes(sessions, origin) == [("cancelled", False, 1)]
    assert (await claim(ledger, origin)).verdict is Verdict.FINAL


async def test_a_released_message_keeps_no_gap_in_its_attempts(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await ledger.release([await claim(ledger, origin)])
    row = await message(sessions, origin)
    assert (row.status, row.attempt) == ("pending", 0)
    assert (await claim(ledger, origin, T0 + SECOND)).attempt == 1


async def test_a_release_after_a_takeover_changes_nothing(ledger: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    mine = await claim(ledger, origin)
    await claim(other, origin, T0 + SECOND)
    await ledger.release([mine])
    assert (await message(sessions, origin)).status == "sending"


async def test_a_release_that_runs_again_does_not_free_a_later_call(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    first = await claim(ledger, origin)
    await ledger.release([first])
    assert (await claim(ledger, origin, T0 + SECOND)).attempt == 1
    await ledger.release([first])
    assert (await message(sessions, origin)).status == "sending"


async def test_transient_errors_use_up_the_budget_and_end_stuck(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    waiting = await record(ledger, origin, 1, AttemptOutcome.TRANSIENT)
    assert (waiting.status, waiting.stuck_reason, waiting.failures) == (MessageStatus.PENDING, None, 1)
    await change(sessions, origin, budget_since=datetime.now(UTC) - timedelta(minutes=31))
    await claim(ledger, origin, T0 + SECOND)
    stuck = await record(ledger, origin, 2, AttemptOutcome.TRANSIENT)
    assert (stuck.status, stuck.stuck_reason) == (MessageStatus.PENDING, "smtp_451")
    assert await outcomes(sessions, origin) == [("pending", True, 1)]
    assert (await claim(ledger, origin, T0 + 2 * SECOND)).verdict is Verdict.STUCK


@pytest.mark.parametrize("delay", [901, 73 * 3600], ids=["beyond 15 min", "past expiry"])
async def test_a_wait_that_is_too_long_is_stuck_at_once(ledger: Ledger, sessions: Sessions, delay: float):
    origin = await insert_messages(sessions, retry_for=timedelta(days=9))
    await claim(ledger, origin)
    assert (await record(ledger, origin, 1, AttemptOutcome.TRANSIENT, delay=delay)).stuck_reason == "smtp_451"


async def test_where_a_fallback_has_another_channel_left_it_fails_instead(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin, stick=False)
    failed = await record(ledger, origin, 1, AttemptOutcome.REJECTED_CONFIG, stick=False)
    assert (failed.status, failed.reason, failed.stuck_reason) == (MessageStatus.FAILED, "smtp_451", None)


@pytest.mark.parametrize("outcome", [AttemptOutcome.REJECTED_CONFIG, AttemptOutcome.RENDER_ERROR])
async def test_our_own_mistakes_are_stuck_at_once(ledger: Ledger, sessions: Sessions, outcome: AttemptOutcome):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    assert (await record(ledger, origin, 1, outcome)).stuck_reason == "smtp_451"


@pytest.mark.parametrize("outcome", [AttemptOutcome.REJECTED_RECIPIENT, AttemptOutcome.REJECTED_MESSAGE])
async def test_what_will_never_work_fails(ledger: Ledger, sessions: Sessions, outcome: AttemptOutcome):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    assert (await record(ledger, origin, 1, outcome)).status is MessageStatus.FAILED


async def test_an_unknown_outcome_follows_the_duplicate_policy(ledger: Ledger, sessions: Sessions):
    again = await insert_messages(sessions)
    await claim(ledger, again)
    assert (await record(ledger, again, 1, AttemptOutcome.UNKNOWN)).status is MessageStatus.PENDING
    once = await insert_messages(sessions, duplicates="at_most_once")
    await claim(ledger, once)
    assert (await record(ledger, once, 1, AttemptOutcome.UNKNOWN)).status is MessageStatus.UNKNOWN


async def test_a_takeover_beyond_the_budget_is_stuck(ledger: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    await change(sessions, origin, budget_since=datetime.now(UTC) - timedelta(hours=1))
    found = await claim(other, origin, T0 + SECOND)
    assert (found.status, found.stuck_reason) == (MessageStatus.PENDING, "answer_lost")
