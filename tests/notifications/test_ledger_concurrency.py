"""Two at once on real Postgres, in each order: exactly one wins, and what it decided holds."""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from notifications.database import Sessions, execute, transaction
from notifications.ledger import Claim, Ledger, MessageAnswer, Recorded, Result, Try, Verdict
from notifications.progress import Progress
from notifications.statuses import AttemptOutcome, Channel, MessageStatus
from notifications.tables import Message, Notification, OutboxEntry
from notifications.tables import Plan as PlanRow
from tests.support.ledger import insert_messages
from tests.support.planning import definition_of, insert_notification, plans_for, profile_of, rerouting_for
from tests.support.queueing import in_turn

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def one(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-a", call_window=timedelta())


@pytest.fixture
def other(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-b", call_window=timedelta())


async def claim(ledger: Ledger, origin: UUID, at: datetime = T0, *, seq: int = 1) -> Claim:
    (found,) = await ledger.claim([Try(origin, seq, 1, at, "smtp")])
    return found


async def record(ledger: Ledger, origin: UUID, outcome: AttemptOutcome, *, seq: int = 1, attempt: int = 1) -> Recorded:
    now = datetime.now(UTC)
    (found,) = await ledger.record([Result(origin, seq, attempt, "smtp", outcome, now, now, "code")])
    return found


async def cancel(ledger: Ledger, sessions: Sessions, origin: UUID) -> list[MessageAnswer]:
    async with transaction(sessions) as session:
        return (await ledger.cancel(session, [origin]))[origin]


async def messages(sessions: Sessions, origin: UUID) -> list[Message]:
    async with sessions() as session:
        return list(await session.exec(select(Message).where(Message.origin_id == origin).order_by(col(Message.seq))))


async def outcomes(sessions: Sessions, origin: UUID) -> list[tuple[int, str, int]]:
    async with sessions() as session:
        rows = await session.exec(
            select(OutboxEntry).where(OutboxEntry.origin_id == origin).order_by(col(OutboxEntry.id))
        )
        return [(row.seq, row.status, row.version) for row in rows]


async def test_of_two_tries_the_higher_one_sends_if_it_comes_first(one: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    first, second = await in_turn(
        sessions, "messages", origin, claim(one, origin, T0 + SECOND), claim(other, origin, T0)
    )
    assert (first.verdict, second.verdict) == (Verdict.CLAIMED, Verdict.SUPERSEDED)
    assert second.status is MessageStatus.SENDING  # so that it comes again


async def test_of_two_tries_the_higher_one_takes_over_if_it_comes_second(
    one: Ledger, other: Ledger, sessions: Sessions
):
    origin = await insert_messages(sessions)
    first, second = await in_turn(
        sessions, "messages", origin, claim(one, origin, T0), claim(other, origin, T0 + SECOND)
    )
    assert (first.attempt, second.attempt, second.failures) == (1, 2, 1)


async def test_the_same_try_in_two_processes_begins_one_call(one: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    found = await in_turn(sessions, "messages", origin, claim(one, origin), claim(other, origin))
    assert [each.verdict for each in found] == [Verdict.CLAIMED, Verdict.SUPERSEDED]


async def test_the_same_try_twice_in_one_process_begins_one_call(one: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    found = await in_turn(sessions, "messages", origin, claim(one, origin), claim(one, origin))
    assert sorted(each.verdict for each in found) == [Verdict.CLAIMED, Verdict.SUPERSEDED]


async def test_an_at_most_once_message_is_called_once_whatever_the_second_try(
    one: Ledger, other: Ledger, sessions: Sessions
):
    origin = await insert_messages(sessions, duplicates="at_most_once")
    first, second = await in_turn(sessions, "messages", origin, claim(one, origin), claim(other, origin, T0 + SECOND))
    assert (first.verdict, second.status) == (Verdict.CLAIMED, MessageStatus.UNKNOWN)


@pytest.mark.parametrize(
    ("outcome", "verdict", "attempt"),
    [
        (AttemptOutcome.ACCEPTED, Verdict.FINAL, 1),
        (AttemptOutcome.REJECTED_MESSAGE, Verdict.FINAL, 1),
        (AttemptOutcome.REJECTED_CONFIG, Verdict.STUCK, 1),
        (AttemptOutcome.TRANSIENT, Verdict.CLAIMED, 2),
    ],
)
async def test_a_record_before_the_next_try_decides_it(
    one: Ledger, other: Ledger, sessions: Sessions, outcome: AttemptOutcome, verdict: Verdict, attempt: int
):
    origin = await insert_messages(sessions)
    await claim(one, origin)
    _, found = await in_turn(
        sessions, "messages", origin, record(one, origin, outcome), claim(other, origin, T0 + SECOND)
    )
    assert (found.verdict, found.attempt) == (verdict, attempt)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (AttemptOutcome.ACCEPTED, MessageStatus.SENT),
        (AttemptOutcome.REJECTED_MESSAGE, MessageStatus.SENDING),
        (AttemptOutcome.TRANSIENT, MessageStatus.SENDING),
    ],
)
async def test_a_record_after_a_takeover_applies_only_if_it_was_accepted(
    one: Ledger, other: Ledger, sessions: Sessions, outcome: AttemptOutcome, status: MessageStatus
):
    origin = await insert_messages(sessions)
    await claim(one, origin)
    _, found = await in_turn(
        sessions, "messages", origin, claim(other, origin, T0 + SECOND), record(one, origin, outcome)
    )
    assert (found.status, found.attempt) == (status, 2)  # as the row is now, not as it was when `record` began


async def test_a_cancel_before_the_claim_wins(one: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    (answer,), found = await in_turn(sessions, "messages", origin, cancel(one, sessions, origin), claim(one, origin))
    assert (answer.answer, found.verdict, found.status) == ("cancelled", Verdict.FINAL, MessageStatus.CANCELLED)
    assert await outcomes(sessions, origin) == [(1, "cancelled", 1)]


async def test_a_cancel_after_the_claim_is_too_late(one: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    found, (answer,) = await in_turn(sessions, "messages", origin, claim(one, origin), cancel(one, sessions, origin))
    assert (found.verdict, answer.answer) == (Verdict.CLAIMED, "too_late")


async def test_what_is_given_back_after_a_cancel_is_cancelled(one: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    held = await claim(one, origin)
    await cancel(one, sessions, origin)
    await one.release([held])
    assert (await claim(one, origin, T0 + SECOND)).status is MessageStatus.CANCELLED


async def test_two_cancels_at_once_are_told_once(one: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await in_turn(sessions, "notifications", origin, cancel(one, sessions, origin), cancel(other, sessions, origin))
    assert await outcomes(sessions, origin) == [(1, "cancelled", 1)]


@pytest.mark.parametrize("is_tried", [False, True])
async def test_a_message_that_gets_stuck_during_a_cancel_is_cancelled(
    one: Ledger, sessions: Sessions, *, is_tried: bool
):
    origin = await insert_messages(sessions)
    await claim(one, origin)
    if is_tried:
        async with transaction(sessions) as session:
            await execute(session, "UPDATE notifications SET tried_at = now() WHERE id = :id", {"id": origin})
    async with transaction(sessions) as session:
        (answer,) = (await one.cancel(session, [origin]))[origin]
        # It begins before the cancel commits, and so cannot see it; the row is not yet stuck for the cancel.
        recording = asyncio.create_task(record(one, origin, AttemptOutcome.REJECTED_CONFIG))
        await _is_blocked(sessions)
    assert answer.answer == "too_late"
    assert (await recording).status is MessageStatus.CANCELLED
    assert [row.stuck_reason for row in await messages(sessions, origin)] == [None]


async def _is_blocked(sessions: Sessions) -> None:
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10), sessions() as session:
        while not (await execute(session, blocked)).scalar_one():
            await session.rollback()
            await asyncio.sleep(0.01)


async def test_the_round_is_raised_once(one: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(one, origin)
    await record(one, origin, AttemptOutcome.REJECTED_CONFIG)
    calls = [each.raise_round(origin, 1, from_round=1) for each in (one, other)]
    await in_turn(sessions, "messages", origin, *calls)
    assert [row.round for row in await messages(sessions, origin)] == [2]


async def test_an_unknown_message_is_freed_once(one: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions, duplicates="at_most_once")
    await claim(one, origin)
    await record(one, origin, AttemptOutcome.UNKNOWN)
    calls = [each.raise_round_for_duplicate(origin, 1) for each in (one, other)]
    assert await in_turn(sessions, "messages", origin, *calls) == [2, None]


async def test_a_claim_and_an_expiry_do_not_both_take_a_message(one: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions, expires_at=datetime.now(UTC) - SECOND)
    _, found = await in_turn(sessions, "messages", origin, one.expire(origin), claim(one, origin))
    assert (found.verdict, found.status) == (Verdict.FINAL, MessageStatus.SKIPPED)
    assert await outcomes(sessions, origin) == [(1, "skipped", 1)]


async def test_two_runs_of_one_plan_make_one_set_of_rows(sessions: Sessions):
    definition = definition_of(Channel.EMAIL, Channel.SMS)
    origin = await insert_notification(sessions, definition, profile=profile_of("cus-two-runs"))
    found = await in_turn(sessions, "notifications", origin, *(plans_for(sessions).make(origin, 1) for _ in range(2)))
    assert found[0] == found[1]
    assert [row.seq for row in await messages(sessions, origin)] == [1, 2]
    async with sessions() as session:
        plans = (await session.exec(select(PlanRow).where(PlanRow.notification_id == origin))).all()
    assert [row.plan_version for row in plans] == [1]


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_cancel_reaches_a_plan_that_is_being_made(one: Ledger, sessions: Sessions, *, cancel_first: bool):
    origin = await insert_notification(sessions, definition_of(), profile=profile_of(f"cus-plan-{cancel_first}"))
    calls: list[Coroutine[Any, Any, Any]] = [plans_for(sessions).make(origin, 1), cancel(one, sessions, origin)]
    await in_turn(sessions, "notifications", origin, *(reversed(calls) if cancel_first else calls))
    assert [row.status for row in await messages(sessions, origin)] == ["cancelled"]
    assert await outcomes(sessions, origin) == [(1, "cancelled", 1)]


async def test_a_new_time_reaches_a_plan_that_is_being_made(one: Ledger, sessions: Sessions):
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-new-time"))
    later = datetime.now(UTC) + timedelta(days=1)
    moved, state = await in_turn(
        sessions, "notifications", origin, one.reschedule(origin, later), plans_for(sessions).make(origin, 1)
    )
    assert (moved, state.due_at) == (True, later)
    assert [row.not_before for row in await messages(sessions, origin)] == [later]


async def test_two_reroutes_at_once_make_one_message(one: Ledger, sessions: Sessions):
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-reroute"))
    await plans_for(sessions).make(origin, 1)
    await claim(one, origin)
    await record(one, origin, AttemptOutcome.REJECTED_CONFIG)
    rerouting = rerouting_for(sessions)
    calls = [rerouting.reroute(origin, 1, Channel.SMS) for _ in range(2)]
    assert await in_turn(sessions, "notifications", origin, *calls) == [2, 2]
    assert [row.status for row in await messages(sessions, origin)] == ["skipped", "pending"]


async def test_a_reroute_does_not_send_what_a_late_answer_says_was_sent(one: Ledger, sessions: Sessions):
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-late-answer"))
    await plans_for(sessions).make(origin, 1)
    await claim(one, origin)
    await claim(one, origin, T0 + SECOND)
    await record(one, origin, AttemptOutcome.REJECTED_CONFIG, attempt=2)
    await Progress(sessions).stuck(origin)
    late, refused = await in_turn(
        sessions,
        "messages",
        origin,
        record(one, origin, AttemptOutcome.ACCEPTED),
        rerouting_for(sessions).reroute(origin, 1, Channel.SMS),
    )
    assert (late.status, str(refused)) == (MessageStatus.SENT, "message 1 is not stuck any more")
    assert len(await messages(sessions, origin)) == 1


@pytest.mark.parametrize("outcome", [AttemptOutcome.TRANSIENT, AttemptOutcome.ACCEPTED])
async def test_first_tries_recorded_at_once_count_as_tried_a_moment_later(
    one: Ledger, sessions: Sessions, outcome: AttemptOutcome
):
    """Neither record can see the other; whatever comes next (a record, the end) sets what both missed."""
    origin = await insert_messages(sessions, count=2)
    for seq in (1, 2):
        await claim(one, origin, seq=seq)
    await in_turn(sessions, "messages", origin, *(record(one, origin, outcome, seq=seq) for seq in (1, 2)))
    if outcome is AttemptOutcome.TRANSIENT:
        await claim(one, origin, T0 + SECOND)
        await record(one, origin, outcome, attempt=2)
    else:
        await Progress(sessions).finish(origin)
    async with sessions() as session:
        notification = await session.get(Notification, origin)
    assert notification is not None
    assert notification.tried_at is not None
