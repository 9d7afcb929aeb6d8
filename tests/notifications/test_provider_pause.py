"""A paused provider: its messages are given back untried, wait without using up their budget, and go on after."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select

from notifications.database import Sessions, transaction
from notifications.ledger import Claim, Ledger, Result, Try, Verdict
from notifications.provider_accounts import ProviderAccounts, UnknownProviderError
from notifications.queries import providers
from notifications.settings import Settings
from notifications.statuses import AttemptOutcome, Channel, MessageStatus
from notifications.tables import Message, Notification, OutboxEntry, ProviderState
from tests.support.ledger import insert_messages

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def ledger(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-a", call_window=timedelta())


@pytest.fixture
def name() -> str:
    """A provider of this test alone."""
    return f"provider-{uuid4().hex[:8]}"


async def pause(sessions: Sessions, *names: str, since: timedelta = timedelta()) -> None:
    async with transaction(sessions) as session:
        for name in names:
            await providers.pause(session, name, ["email"], paused_by="test", reason=None)
            state = await session.get_one(ProviderState, (name, "email"), populate_existing=True)
            assert state.paused_at is not None
            state.paused_at -= since
            session.add(state)


async def resume(sessions: Sessions, name: str) -> None:
    async with transaction(sessions) as session:
        await providers.resume(session, name, ["email"])


async def claim(ledger: Ledger, origin: UUID, name: str, *, at: datetime = T0, others: tuple[str, ...] = ()) -> Claim:
    (found,) = await ledger.claim([Try(origin, 1, 1, at, name, others=others)])
    return found


async def message(sessions: Sessions, origin: UUID, seq: int = 1) -> Message:
    async with sessions() as session:
        return (await session.exec(select(Message).where(Message.origin_id == origin, Message.seq == seq))).one()


async def change(sessions: Sessions, origin: UUID, **values: object) -> None:
    async with transaction(sessions) as session:
        row = (await session.exec(select(Message).where(Message.origin_id == origin))).one()
        for field, value in values.items():
            setattr(row, field, value)
        session.add(row)


async def tried_at(sessions: Sessions, origin: UUID) -> datetime | None:
    async with sessions() as session:
        return (await session.exec(select(Notification).where(Notification.id == origin))).one().tried_at


async def test_a_message_waits_untried_and_goes_on(sessions: Sessions, ledger: Ledger, name: str) -> None:
    origin = await insert_messages(sessions)
    await pause(sessions, name)
    held = await claim(ledger, origin, name)
    assert (held.verdict, held.status, held.attempt, held.waits_for) == ("provider_paused", "pending", 0, name)
    row = await message(sessions, origin)
    assert (row.reason, row.budget_since, row.failures, row.version) == ("provider_paused", None, 0, 0)
    assert row.due_at is not None
    assert abs(row.due_at - datetime.now(UTC) - held.hold) < 2 * SECOND
    assert await tried_at(sessions, origin) is not None, "it does not hold back what the bridge reads"
    await resume(sessions, name)
    assert (await claim(ledger, origin, name, at=T0 + SECOND)).verdict is Verdict.CLAIMED
    assert (await message(sessions, origin)).provider == name
    async with sessions() as session:
        assert not (await session.exec(select(OutboxEntry).where(OutboxEntry.origin_id == origin))).all()


async def test_another_provider_takes_over_for_a_paused_one(sessions: Sessions, ledger: Ledger, name: str) -> None:
    origin = await insert_messages(sessions)
    await pause(sessions, name)
    found = await claim(ledger, origin, name, others=("second",))
    assert (found.verdict, found.provider) == (Verdict.CLAIMED, "second")


async def test_a_pause_of_one_channel_is_none_of_another(sessions: Sessions, ledger: Ledger, name: str) -> None:
    origin = await insert_messages(sessions, channel="sms")
    await pause(sessions, name)
    assert (await claim(ledger, origin, name)).verdict is Verdict.CLAIMED


async def test_untried_are_those_that_nothing_has_looked_at(sessions: Sessions, ledger: Ledger, name: str) -> None:
    origin = await insert_messages(sessions, count=2)
    await pause(sessions, name)
    await ledger.claim([Try(origin, 1, 1, T0, name)])
    assert await tried_at(sessions, origin) is None
    await ledger.claim([Try(origin, 2, 1, T0, name)])
    assert await tried_at(sessions, origin) is not None


async def test_one_held_and_one_recorded_make_it_tried(sessions: Sessions, ledger: Ledger, name: str) -> None:
    origin = await insert_messages(sessions, count=2)
    await pause(sessions, name)
    await ledger.claim([Try(origin, 1, 1, T0, name)])
    await ledger.claim([Try(origin, 2, 1, T0, "running")])
    assert await tried_at(sessions, origin) is None
    now = datetime.now(UTC)
    await ledger.record([Result(origin, 2, 1, "running", AttemptOutcome.ACCEPTED, now, now)])
    assert await tried_at(sessions, origin) is not None


async def test_a_cancelled_or_expired_message_does_not_wait(sessions: Sessions, ledger: Ledger, name: str) -> None:
    await pause(sessions, name)
    late = await insert_messages(sessions, expires_at=datetime.now(UTC) - SECOND)
    assert (await claim(ledger, late, name)).reason == "expired"
    cancelled = await insert_messages(sessions)
    await claim(ledger, cancelled, name)
    async with transaction(sessions) as session:
        (answer,) = (await ledger.cancel(session, [cancelled]))[cancelled]
    assert answer.status is MessageStatus.CANCELLED


# The budget stands still


@pytest.mark.parametrize("is_over", [False, True], ids=["still paused", "paused and resumed between two tries"])
async def test_the_time_of_a_pause_is_no_retrying(
    sessions: Sessions, ledger: Ledger, name: str, *, is_over: bool
) -> None:
    now = datetime.now(UTC)
    origin = await insert_messages(sessions)
    # The first transient error an hour ago, the pause from 50 minutes ago on: 10 of 30 minutes are used up.
    await change(sessions, origin, attempt=1, failures=1, budget_since=now - 60 * MINUTE, updated_at=now - 55 * MINUTE)
    await pause(sessions, name, since=50 * MINUTE)
    if is_over:
        await resume(sessions, name)
    found = await claim(ledger, origin, name)
    assert found.verdict is (Verdict.CLAIMED if is_over else Verdict.PROVIDER_PAUSED)
    budget_since = (await message(sessions, origin)).budget_since
    assert budget_since is not None
    assert abs(budget_since - (now - 10 * MINUTE)) < 5 * SECOND
    if not is_over:
        await claim(ledger, origin, name, at=T0 + SECOND)
        again = (await message(sessions, origin)).budget_since
        assert again is not None
        assert abs(again - (now - 10 * MINUTE)) < 5 * SECOND, "no minute of the pause is counted twice"


async def test_a_lost_answer_is_counted_and_waits(sessions: Sessions, ledger: Ledger, name: str) -> None:
    origin = await insert_messages(sessions)
    await claim(ledger, origin, name)
    await pause(sessions, name)
    other = Ledger(sessions, process="worker-b", call_window=timedelta())
    found = await claim(other, origin, name, at=T0 + SECOND)
    assert (found.verdict, found.failures, found.attempt) == (Verdict.PROVIDER_PAUSED, 1, 1)
    assert (await message(sessions, origin)).budget_since is not None
    assert (await claim(ledger, origin, name)).verdict is Verdict.SUPERSEDED, "the zombie's try is over"


# The looks are spread


async def test_many_look_twenty_times_a_second_all_together(sessions: Sessions, ledger: Ledger, name: str) -> None:
    origin = await insert_messages(sessions, count=400)
    await pause(sessions, name)
    begun = datetime.now(UTC)
    looks = [
        (claim.due_at or begun) - begun
        for first in range(1, 401, 50)
        for claim in await ledger.claim([Try(origin, seq, 1, T0, name) for seq in range(first, first + 50)])
    ]
    assert min(looks) >= 4 * SECOND
    assert 17 * SECOND < max(looks) < 23 * SECOND  # 400 / 20 per second, and a tenth of jitter
    seconds = [start * SECOND for start in range(7, 20)]
    assert max(sum(start <= look < start + SECOND for look in looks) for start in seconds) <= 40


async def test_a_wait_is_at_most_five_minutes_and_ends_before_the_message_does(
    sessions: Sessions, ledger: Ledger, name: str
) -> None:
    origin = await insert_messages(sessions)
    await pause(sessions, name)
    async with transaction(sessions) as session:
        state = await session.get_one(ProviderState, (name, "email"))
        state.next_look_at = datetime.now(UTC) + 60 * MINUTE
        session.add(state)
    assert 4 * MINUTE < (await claim(ledger, origin, name)).hold <= 5 * MINUTE
    short = await insert_messages(sessions, expires_at=datetime.now(UTC) + MINUTE)
    assert (await claim(ledger, short, name)).hold <= 30 * SECOND


# What operators do


async def test_pause_and_resume_twice_are_once(sessions: Sessions, name: str) -> None:
    settings = Settings(email_providers=(name, "smtp"))
    async with transaction(sessions) as session:
        accounts = ProviderAccounts(session, settings)
        (first,) = await accounts.pause(name, paused_by="ana", reason="moving")
        (second,) = await accounts.pause(name, paused_by="ben")
        assert (first.state, first.place, first.pause_reason) == ("paused", 1, "moving")
        assert (second.paused_at, second.paused_by) == (first.paused_at, "ben")
        for _ in range(2):
            (running,) = await accounts.resume(name, channel=Channel.EMAIL)
            assert (running.state, running.paused_at) == ("running", None)
        everywhere = [(each.provider, each.place) for each in await accounts.all() if each.channel is Channel.EMAIL]
        assert everywhere[:2] == [(name, 1), ("smtp", 2)]


async def test_a_wrong_name_is_told_the_right_ones(sessions: Sessions) -> None:
    async with sessions() as session:
        accounts = ProviderAccounts(session, Settings())
        with pytest.raises(UnknownProviderError, match=r"no provider 'smpt': there is .*smtp \(email\)"):
            await accounts.pause("smpt", paused_by="ana")
        with pytest.raises(UnknownProviderError, match="on sms"):
            await accounts.resume("smtp", channel=Channel.SMS)
        assert not (await session.exec(select(ProviderState).where(col(ProviderState.provider) == "smpt"))).all()
