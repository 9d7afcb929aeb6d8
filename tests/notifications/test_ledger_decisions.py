"""What people decide and what the claim finds changed: rounds, skips, expiry, windows, consent, reschedules."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlmodel import select

from notifications.database import Sessions, transaction
from notifications.ledger import Ledger, Result, Verdict
from notifications.statuses import AttemptOutcome, MessageStatus
from notifications.tables import Message, Notification, Preference, Suppression
from tests.support.ledger import insert_messages
from tests.support.ledger_steps import SECOND, T0, change, claim, message, outcomes, record


async def test_retry_raises_the_round_once_and_gives_a_new_budget(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    await record(ledger, origin, 1, AttemptOutcome.REJECTED_CONFIG)
    for _ in range(2):
        await ledger.raise_round(origin, 1, from_round=1)
    row = await message(sessions, origin)
    assert (row.round, row.stuck_reason, row.failures, row.budget_since) == (2, None, 0, None)
    old = await claim(ledger, origin, T0 + SECOND, number=1)
    assert (old.verdict, old.round) == (Verdict.OUTDATED, 2)
    # An activity of the new round may have been scheduled on a server whose clock is behind.
    new = await claim(ledger, origin, T0 - SECOND, number=2)
    assert (new.verdict, new.attempt) == (Verdict.CLAIMED, 2)


async def test_skip_gives_up_only_what_is_stuck(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await ledger.skip(origin, 1)
    assert (await message(sessions, origin)).status == "pending"
    await claim(ledger, origin)
    await record(ledger, origin, 1, AttemptOutcome.REJECTED_CONFIG)
    await ledger.skip(origin, 1)
    row = await message(sessions, origin)
    assert (row.status, row.reason, row.stuck_reason) == ("skipped", "operator", None)


async def test_an_unknown_message_is_resent_only_on_request(ledger: Ledger, other: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions, duplicates="at_most_once")
    assert await ledger.raise_round_for_duplicate(origin, 1) is None
    await claim(ledger, origin)
    await claim(other, origin, T0 + SECOND)
    assert await ledger.raise_round_for_duplicate(origin, 1) == 2
    assert (await claim(ledger, origin, T0, number=2)).verdict is Verdict.CLAIMED


async def test_an_unknown_message_of_a_cancelled_notification_is_not_resent(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions, duplicates="at_most_once")
    await claim(ledger, origin)
    await record(ledger, origin, 1, AttemptOutcome.UNKNOWN)
    async with transaction(sessions) as session:
        await ledger.cancel(session, [origin])
    assert await ledger.raise_round_for_duplicate(origin, 1) is None


async def test_expiry_tells_tried_from_never_tried(ledger: Ledger, sessions: Sessions):
    past = datetime.now(UTC) - SECOND
    fresh = await insert_messages(sessions, expires_at=past)
    await ledger.expire(fresh)
    row = await message(sessions, fresh)
    assert (row.status, row.reason) == ("skipped", "expired")
    tried = await insert_messages(sessions)
    await claim(ledger, tried)
    await record(ledger, tried, 1, AttemptOutcome.TRANSIENT)
    await change(sessions, tried, expires_at=past)
    await ledger.expire(tried)
    row = await message(sessions, tried)
    assert (row.status, row.reason) == ("failed", "smtp_451")


async def test_expiry_ends_a_claim_whose_worker_died_and_no_living_one(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    await change(sessions, origin, expires_at=datetime.now(UTC) - SECOND)
    await ledger.expire(origin)
    assert (await message(sessions, origin)).status == "sending"
    await change(sessions, origin, claimed_at=datetime.now(UTC) - timedelta(seconds=46))
    await ledger.expire(origin)
    row = await message(sessions, origin)
    assert (row.status, row.reason) == ("unknown", "answer_lost")
    assert await outcomes(sessions, origin) == [("unknown", False, 1)]
    assert (await record(ledger, origin, 1, AttemptOutcome.TRANSIENT)).status is MessageStatus.UNKNOWN
    assert (await record(ledger, origin, 1, AttemptOutcome.ACCEPTED)).status is MessageStatus.SENT


async def test_a_stuck_message_always_has_a_reason(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    await claim(ledger, origin)
    now = datetime.now(UTC)
    (found,) = await ledger.record([Result(origin, 1, 1, "smtp", AttemptOutcome.REJECTED_CONFIG, now, now)])
    assert found.stuck_reason == "rejected_config"


async def test_the_claim_sees_expiry_window_suppression_and_consent(ledger: Ledger, sessions: Sessions):
    now = datetime.now(UTC)
    expired = await insert_messages(sessions, expires_at=now - SECOND)
    assert (await claim(ledger, expired)).reason == "expired"
    early = await insert_messages(sessions, not_before=now + timedelta(hours=1))
    found = await claim(ledger, early)
    assert (found.verdict, found.due_at) == (Verdict.NOT_DUE, now + timedelta(hours=1))
    suppressed = await insert_messages(sessions)
    refused = await insert_messages(sessions, consent="default")
    withdrawn = await insert_messages(sessions, consent="tidings")
    required = await insert_messages(sessions)
    async with transaction(sessions) as session:
        row = (await session.exec(select(Message).where(Message.origin_id == suppressed))).one()
        assert row.address_ref is not None
        session.add(
            Suppression(address_ref=row.address_ref, channel="email", scope="all", reason="hard_bounce", source="smtp")
        )
        for origin in (refused, required):
            session.add(
                Preference(
                    recipient_id=f"cus-{origin}",
                    category="payments",
                    channel="email",
                    opted_in=False,
                    source="api",
                    time=now,
                )
            )
    assert (await claim(ledger, suppressed)).reason == "suppressed"
    assert (await claim(ledger, refused)).reason == "opted_out"
    assert (await claim(ledger, withdrawn)).reason == "opted_out"
    assert (await claim(ledger, required)).verdict is Verdict.CLAIMED


async def test_reschedule_moves_what_was_not_tried(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions)
    later = datetime.now(UTC) + timedelta(days=1)
    before = (await message(sessions, origin)).expires_at
    assert await ledger.reschedule(origin, later)
    row = await message(sessions, origin)
    assert row.not_before == later
    assert row.expires_at > before
    assert not await ledger.reschedule(uuid4(), later)
    sent = await insert_messages(sessions)
    await claim(ledger, sent)
    assert not await ledger.reschedule(sent, later)


async def test_reschedule_before_the_plan_is_kept_for_it(ledger: Ledger, sessions: Sessions):
    origin = await insert_messages(sessions, count=0)
    later = datetime.now(UTC) + timedelta(days=1)
    assert await ledger.reschedule(origin, later)
    async with sessions() as session:
        notification = await session.get(Notification, origin)
    assert notification is not None
    assert (notification.sendat, notification.due_at, notification.expires_at) == (later, later, None)
