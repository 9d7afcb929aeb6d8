"""Receipts in the ledger: any order, doubled, before our own record; suppressions; what a replay may not do."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from notifications.consent import SCOPE_ALL
from notifications.database import Sessions, transaction
from notifications.ledger import Ledger, Result, Try, Verdict
from notifications.providers.receipts import Correlation, ReceiptEvent, SuppressReason
from notifications.queries.recipients import unsuppress
from notifications.receipts import Fate, Receipts
from notifications.statuses import AttemptOutcome, Channel, MessageStatus
from notifications.tables import Message, OutboxEntry, ReceiptRecord, Suppression
from tests.support.ledger import insert_messages

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)
POSITIVE = [MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.OPENED, MessageStatus.CLICKED]


@pytest.fixture
def receipts(sessions: Sessions) -> Receipts:
    return Receipts(sessions)


@pytest.fixture
def ledger(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-a")


def receipt(origin: UUID, status: MessageStatus, attempt: int = 1, **changes: object) -> ReceiptEvent:
    given = {
        "provider": "twilio",
        "receipt_id": f"{origin}:{attempt}:{status}",
        "provider_message_id": f"SM-{origin}-{attempt}",
        "correlation": Correlation(origin, 1, attempt),
        "status": status,
        "occurred_at": T0,
        "reason": "twilio_30003" if status in {MessageStatus.FAILED, MessageStatus.BOUNCED} else None,
    }
    return ReceiptEvent(**(given | changes))  # type: ignore[arg-type]


async def claim(ledger: Ledger, origin: UUID, at: datetime = T0) -> Verdict:
    (found,) = await ledger.claim([Try(origin, 1, 1, at, "twilio")])
    return found.verdict


async def record(ledger: Ledger, origin: UUID, outcome: AttemptOutcome, attempt: int = 1) -> MessageStatus:
    now = datetime.now(UTC)
    sid = f"SM-{origin}-{attempt}" if outcome is AttemptOutcome.ACCEPTED else None
    (found,) = await ledger.record([Result(origin, 1, attempt, "twilio", outcome, now, now, "c", None, sid)])
    return found.status


async def message(sessions: Sessions, origin: UUID) -> Message:
    async with sessions() as session:
        return (await session.exec(select(Message).where(Message.origin_id == origin))).one()


async def told(sessions: Sessions, origin: UUID) -> list[str]:
    async with sessions() as session:
        rows = await session.exec(
            select(OutboxEntry).where(OutboxEntry.origin_id == origin).order_by(col(OutboxEntry.id))
        )
        return [row.status for row in rows]


async def fates(receipts: Receipts, *events: ReceiptEvent) -> list[Fate]:
    return [taken.fate for taken in await receipts.take(events)]


async def sent(ledger: Ledger, sessions: Sessions, **changes: object) -> UUID:
    origin = await insert_messages(sessions, channel="sms", **changes)
    await claim(ledger, origin)
    await record(ledger, origin, AttemptOutcome.ACCEPTED)
    return origin


async def test_a_receipt_raises_the_status_and_tells_it_once(ledger, receipts, sessions):
    origin = await sent(ledger, sessions)
    assert await fates(receipts, receipt(origin, MessageStatus.DELIVERED)) == [Fate.APPLIED]
    assert await fates(receipts, receipt(origin, MessageStatus.DELIVERED)) == [Fate.DOUBLED]
    assert await fates(receipts, receipt(origin, MessageStatus.SENT)) == [Fate.UNCHANGED]
    assert await fates(receipts, receipt(origin, MessageStatus.BOUNCED)) == [Fate.UNCHANGED]
    assert await told(sessions, origin) == ["sent", "delivered"]


async def test_of_a_batch_about_one_message_the_highest_is_applied(ledger, receipts, sessions):
    origin = await sent(ledger, sessions)
    batch = [receipt(origin, status) for status in (MessageStatus.OPENED, MessageStatus.SENT, MessageStatus.DELIVERED)]
    await receipts.take([*batch, *batch])
    assert (await message(sessions, origin)).status == "opened"
    assert await told(sessions, origin) == ["sent", "opened"]


Step = MessageStatus | AttemptOutcome


@pytest.mark.parametrize("outcome", [AttemptOutcome.ACCEPTED, AttemptOutcome.UNKNOWN])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_whatever_the_order_the_end_is_the_same(data, ledger, receipts, sessions, outcome):
    """The record of the attempt and its receipts, in any order, any of them doubled."""
    said = data.draw(
        st.lists(st.sampled_from([*POSITIVE, MessageStatus.FAILED, MessageStatus.BOUNCED]), min_size=1, unique=True)
    )
    steps: Sequence[Step] = data.draw(st.permutations([outcome, *said, *data.draw(st.lists(st.sampled_from(said)))]))
    origin = await insert_messages(sessions, channel="sms", duplicates="at_most_once")
    await claim(ledger, origin)
    for step in steps:
        if isinstance(step, AttemptOutcome):
            await record(ledger, origin, step)
        else:
            await receipts.take([receipt(origin, step)])
    order = [*POSITIVE[:1], MessageStatus.FAILED, MessageStatus.BOUNCED, *POSITIVE[1:]]
    row = await message(sessions, origin)
    assert row.status == max(said, key=order.index)
    assert (await told(sessions, origin))[-1] == row.status
    assert row.version == len(await told(sessions, origin))


async def test_a_negative_one_applies_only_to_the_current_attempt(ledger, receipts, sessions):
    origin = await insert_messages(sessions, channel="sms")
    await claim(ledger, origin)
    await record(ledger, origin, AttemptOutcome.UNKNOWN)
    await claim(ledger, origin, T0 + timedelta(seconds=1))  # the second attempt
    assert await fates(receipts, receipt(origin, MessageStatus.BOUNCED, attempt=1)) == [Fate.UNCHANGED]
    assert (await message(sessions, origin)).status == "sending"
    assert await fates(receipts, receipt(origin, MessageStatus.DELIVERED, attempt=1)) == [Fate.APPLIED]
    assert await record(ledger, origin, AttemptOutcome.TRANSIENT, attempt=2) is MessageStatus.DELIVERED


async def test_what_waits_for_another_try_is_not_sent_again(ledger, receipts, sessions):
    origin = await insert_messages(sessions, channel="sms")
    await claim(ledger, origin)
    assert await record(ledger, origin, AttemptOutcome.UNKNOWN) is MessageStatus.PENDING
    (taken,) = await receipts.take([receipt(origin, MessageStatus.DELIVERED)])
    assert taken.settles_a_wait
    assert await claim(ledger, origin, T0 + timedelta(seconds=1)) is Verdict.FINAL


@pytest.mark.parametrize(
    "status", [MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.FAILED, MessageStatus.BOUNCED]
)
async def test_an_unknown_message_is_settled(ledger, receipts, sessions, status):
    origin = await insert_messages(sessions, channel="sms", duplicates="at_most_once")
    await claim(ledger, origin)
    assert await record(ledger, origin, AttemptOutcome.UNKNOWN) is MessageStatus.UNKNOWN
    assert await fates(receipts, receipt(origin, status)) == [Fate.APPLIED]
    assert await ledger.raise_round_for_duplicate(origin, 1) is None
    assert await told(sessions, origin) == ["unknown", status]


class TestBeforeOurRecord:
    async def test_by_the_correlation_it_is_applied_at_once(self, ledger, receipts, sessions):
        origin = await insert_messages(sessions, channel="sms")
        await claim(ledger, origin)
        assert await fates(receipts, receipt(origin, MessageStatus.DELIVERED)) == [Fate.APPLIED]
        assert await record(ledger, origin, AttemptOutcome.ACCEPTED) is MessageStatus.DELIVERED
        assert await told(sessions, origin) == ["delivered"]

    async def test_by_the_providers_id_it_waits_and_is_matched(self, ledger, receipts, sessions):
        origin = await insert_messages(sessions, channel="sms")
        await claim(ledger, origin)
        early = receipt(origin, MessageStatus.BOUNCED, correlation=None, suppress=SuppressReason.HARD_BOUNCE)
        assert await fates(receipts, early) == [Fate.WAITING]
        assert await fates(receipts, early) == [Fate.WAITING]
        assert origin not in {taken.origin_id for taken in await receipts.match_waiting()}
        await record(ledger, origin, AttemptOutcome.ACCEPTED)
        matched = [taken for taken in await receipts.match_waiting() if taken.origin_id == origin]
        assert [taken.fate for taken in matched] == [Fate.APPLIED]
        assert origin not in {taken.origin_id for taken in await receipts.match_waiting()}
        assert await fates(receipts, early) == [Fate.DOUBLED]
        row = await message(sessions, origin)
        assert (row.status, row.reason) == ("bounced", "twilio_30003")
        assert await suppressions(sessions, row) == [("all", "hard_bounce")]

    async def test_by_the_providers_id_after_the_record(self, ledger, receipts, sessions):
        origin = await sent(ledger, sessions)
        late = receipt(origin, MessageStatus.DELIVERED, correlation=None)
        assert await fates(receipts, late) == [Fate.APPLIED]

    async def test_what_nobody_sent_is_kept_and_changes_nothing(self, receipts, sessions):
        foreign = receipt(uuid4(), MessageStatus.DELIVERED)
        assert await fates(receipts, foreign) == [Fate.WAITING]
        async with sessions() as session:
            kept = await session.get(ReceiptRecord, ("twilio", foreign.receipt_id))
        assert kept is not None
        assert kept.matched_at is None


async def suppressions(sessions: Sessions, row: Message) -> list[tuple[str, str]]:
    async with sessions() as session:
        found = await session.exec(select(Suppression).where(Suppression.address_ref == row.address_ref))
        return [(each.scope, each.reason) for each in found]


@pytest.mark.parametrize(
    ("reason", "scope"),
    [
        (SuppressReason.HARD_BOUNCE, SCOPE_ALL),
        (SuppressReason.COMPLAINT, SCOPE_ALL),
        (SuppressReason.OPTED_OUT, "payments"),
    ],
)
async def test_a_suppression_is_written_and_a_replay_does_not_bring_it_back(ledger, receipts, sessions, reason, scope):
    origin = await sent(ledger, sessions)
    said = receipt(origin, MessageStatus.DELIVERED, suppress=reason)
    await receipts.take([said])
    row = await message(sessions, origin)
    assert await suppressions(sessions, row) == [(scope, reason)]
    assert row.address_ref is not None
    async with transaction(sessions) as session:
        await unsuppress(session, row.address_ref, Channel.SMS, scope)
    assert await fates(receipts, said) == [Fate.DOUBLED]
    assert await suppressions(sessions, row) == []


async def test_nothing_is_nothing(receipts):
    assert await receipts.take([]) == []
