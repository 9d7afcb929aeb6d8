"""What has ended goes when its time has come, in bounded batches; what may still change stays."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import SQLModel

from notifications.database import Sessions, execute, transaction
from notifications.retention import Kept, Retention
from notifications.settings import RetentionSettings
from notifications.tables import Attempt, Cancellation, Notification, OutboxEntry, Plan, ReceiptRecord, RejectedEvent
from tests.support.ledger import message_row, notification_row

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
OLD = NOW - 91 * DAY
EVERYTHING = (
    "notifications",
    "messages",
    "attempts",
    "receipts",
    "plans",
    "outbox",
    "rejected_events",
    "cancellations",
)
KEEP = RetentionSettings(ledger=None, outbox=None, rejected=None, receipts=None, imports=None)


@pytest.fixture
async def sessions(own_database: Sessions) -> Sessions:
    """Empty: counts are exact."""
    async with transaction(own_database) as session:
        await execute(session, f"TRUNCATE {', '.join(EVERYTHING)}")
    return own_database


@pytest.fixture
def retention(sessions: Sessions) -> Retention:
    return Retention(sessions, RetentionSettings())


async def add(sessions: Sessions, *rows: SQLModel) -> None:
    async with transaction(sessions) as session:
        for row in rows:
            session.add(row)
            await session.flush()


async def counts(sessions: Sessions) -> dict[str, int]:
    async with sessions() as session:
        return {table: (await execute(session, f"SELECT count(*) FROM {table}")).scalar_one() for table in EVERYTHING}


async def left(sessions: Sessions, table: str) -> int:
    return (await counts(sessions))[table]


async def ended(
    sessions: Sessions, *, received_at: datetime = OLD, finished_at: datetime | None = OLD, **message: Any
) -> UUID:
    """A notification that was sent, with everything that belongs to it but outcomes."""
    row = notification_row(status="done", received_at=received_at, started_at=received_at, finished_at=finished_at)
    times = {"started_at": received_at, "finished_at": received_at}
    own = {"origin_id": row.id, "seq": 1, "attempt": 1}
    await add(
        sessions,
        row,
        message_row(row, **({"status": "sent", "expires_at": received_at + 3 * DAY} | message)),
        Attempt(**own, round=1, provider="smtp", outcome="accepted", **times),
        receipt(str(row.id), received_at, matched_at=received_at, **own),
        Plan(notification_id=row.id, plan_version=1, plan={}, profile={}),
    )
    return row.id


def receipt(name: str, received_at: datetime, **fields: Any) -> ReceiptRecord:
    values = {"provider_message_id": None, "origin_id": None, "status": "delivered", "details": {}}
    return ReceiptRecord(
        provider="smtp", receipt_id=name, occurred_at=received_at, received_at=received_at, **(values | fields)
    )


def outcome(origin_id: UUID, *, created_at: datetime, published_at: datetime | None) -> OutboxEntry:
    return OutboxEntry(
        origin_id=origin_id, seq=1, version=1, channel="email", provider="smtp", status="sent", reason=None, attempt=1,
        created_at=created_at, published_at=published_at,
    )  # fmt: skip


def rejected(offset: int, **times: datetime) -> RejectedEvent:
    values = {"rejected_at": OLD} | times
    return RejectedEvent(
        topic="t", partition=0, offset=offset, headers=[], reason="not_json", detail="it is no JSON", **values
    )


async def test_a_notification_goes_whole(sessions: Sessions, retention: Retention) -> None:
    await ended(sessions)
    young = await ended(sessions, received_at=NOW - 89 * DAY, finished_at=NOW - 89 * DAY)
    batch = await retention.remove(Kept.NOTIFICATIONS)
    assert batch is not None
    assert (batch.removed, batch.end) == (1, True)
    found = await counts(sessions)
    whole = ("notifications", "messages", "attempts", "receipts", "plans")
    assert {table: found[table] for table in whole} == dict.fromkeys(whole, 1)
    async with sessions() as session:
        assert await session.get(Notification, young) is not None


@pytest.mark.parametrize(
    ("finished_at", "message"),
    [
        (None, {}),
        (NOW - 89 * DAY, {}),
        (OLD, {"status": "pending"}),
        (OLD, {"status": "pending", "stuck_reason": "smtp_451"}),
        (OLD, {"status": "sending"}),
        (OLD, {"status": "unknown", "expires_at": NOW + DAY}),
    ],
    ids=["unfinished", "finished later", "pending", "stuck", "sending", "unknown in its window"],
)
async def test_what_may_still_change_stays(
    sessions: Sessions, retention: Retention, finished_at: datetime | None, message: dict[str, Any]
) -> None:
    await ended(sessions, finished_at=finished_at, **message)
    await retention.remove(Kept.NOTIFICATIONS)
    found = await counts(sessions)
    assert (found["notifications"], found["messages"], found["attempts"], found["receipts"]) == (1, 1, 1, 1)


async def test_an_unknown_one_goes_once_nothing_can_settle_it(sessions: Sessions, retention: Retention) -> None:
    await ended(sessions, status="unknown")
    await retention.remove(Kept.NOTIFICATIONS)
    assert not await left(sessions, "messages")


async def test_what_is_not_published_keeps_its_notification(sessions: Sessions, retention: Retention) -> None:
    origin = await ended(sessions)
    await add(sessions, outcome(origin, created_at=OLD, published_at=None))
    await retention.remove(Kept.NOTIFICATIONS)
    await retention.remove(Kept.OUTBOX)
    found = await counts(sessions)
    assert (found["notifications"], found["outbox"]) == (1, 1)


async def test_what_is_to_be_sent_once_more_stays(sessions: Sessions, retention: Retention) -> None:
    origin = await ended(sessions)
    async with transaction(sessions) as session:
        await execute(session, "UPDATE notifications SET resend_at = now() WHERE id = :id", {"id": origin})
    await retention.remove(Kept.NOTIFICATIONS)
    assert await left(sessions, "notifications") == 1


async def test_outcomes_go_a_week_after_they_were_published(sessions: Sessions, retention: Retention) -> None:
    week = NOW - 8 * DAY
    await add(
        sessions,
        outcome(uuid4(), created_at=week, published_at=week),
        outcome(uuid4(), created_at=week, published_at=None),
        outcome(uuid4(), created_at=week, published_at=NOW),
        outcome(uuid4(), created_at=NOW, published_at=NOW),
    )
    batch = await retention.remove(Kept.OUTBOX)
    assert batch is not None
    assert (batch.removed, batch.end) == (1, True)
    assert await left(sessions, "outbox") == 3


async def test_rejected_events_go_after_they_were_replayed_or_given_up(
    sessions: Sessions, retention: Retention
) -> None:
    month = NOW - 31 * DAY
    await add(
        sessions,
        rejected(1, replayed_at=month),
        rejected(2, given_up_at=month),
        rejected(3),
        rejected(4, replayed_at=NOW),
        rejected(5, given_up_at=NOW),
    )
    await retention.remove(Kept.REJECTED_EVENTS)
    async with sessions() as session:
        rows = await execute(session, 'SELECT "offset" FROM rejected_events ORDER BY id')
        assert [row.offset for row in rows] == [3, 4, 5]


async def test_receipts_of_nobodys_messages_go(sessions: Sessions, retention: Retention) -> None:
    await add(
        sessions, receipt("old", OLD), receipt("young", NOW), receipt("matched", OLD, matched_at=OLD, origin_id=uuid4())
    )
    await retention.remove(Kept.UNMATCHED_RECEIPTS)
    async with sessions() as session:
        rows = await execute(session, "SELECT receipt_id FROM receipts ORDER BY 1")
        assert [row.receipt_id for row in rows] == ["matched", "young"]


async def test_kept_cancels_go_with_the_ledger(sessions: Sessions, retention: Retention) -> None:
    for key, received_at in (("old", OLD), ("young", NOW)):
        await add(sessions, Cancellation(source="s", cancelkey=key, time=OLD, received_at=received_at))
    await retention.remove(Kept.CANCELLATIONS)
    assert await left(sessions, "cancellations") == 1


@pytest.mark.parametrize("kind", Kept)
async def test_without_a_period_everything_is_kept(sessions: Sessions, kind: Kept) -> None:
    origin = await ended(sessions)
    await add(sessions, outcome(origin, created_at=OLD, published_at=OLD), rejected(1, given_up_at=OLD))
    before = await counts(sessions)
    assert await Retention(sessions, KEEP).remove(kind) is None
    assert await counts(sessions) == before


async def test_each_batch_is_bounded_and_goes_on_behind_what_stays(sessions: Sessions) -> None:
    """Breaking off between two loses only the place, and running twice removes nothing more."""
    for minute in range(5):
        at = OLD + timedelta(minutes=minute)
        await ended(sessions, received_at=at, finished_at=at, status="pending" if minute == 1 else "sent")
    retention = Retention(sessions, RetentionSettings(), batch=2)
    first = await retention.remove(Kept.NOTIFICATIONS)
    assert first is not None
    assert (first.removed, first.end, await left(sessions, "notifications")) == (1, False, 4)
    second = await retention.remove(Kept.NOTIFICATIONS, first.place)
    assert second is not None
    assert (second.removed, second.end) == (2, False)
    again = await Retention(sessions, RetentionSettings(), batch=2).remove(Kept.NOTIFICATIONS)
    assert again is not None
    assert (again.removed, again.end, await left(sessions, "notifications")) == (1, False, 1)
    last = await retention.remove(Kept.NOTIFICATIONS, again.place)
    assert last is not None
    assert (last.removed, last.end) == (0, True)


@pytest.mark.parametrize("kind", [Kept.NOTIFICATIONS, Kept.OUTBOX, Kept.REJECTED_EVENTS, Kept.UNMATCHED_RECEIPTS])
async def test_two_at_once_remove_each_row_once(sessions: Sessions, kind: Kept) -> None:
    for number in range(20):
        origin = await ended(sessions)
        await add(
            sessions,
            outcome(origin, created_at=OLD, published_at=OLD),
            rejected(number, given_up_at=OLD),
            receipt(f"nobody's {number}", OLD),
        )
    retention = Retention(sessions, RetentionSettings())
    batches = await asyncio.gather(*(retention.remove(kind) for _ in range(4)))
    assert sum(batch.removed for batch in batches if batch is not None) == 20


async def test_a_row_that_somebody_holds_is_left_for_later(sessions: Sessions, retention: Retention) -> None:
    origin = await ended(sessions)
    async with transaction(sessions) as session:
        await execute(session, "SELECT FROM notifications WHERE id = :id FOR UPDATE", {"id": origin})
        held = await retention.remove(Kept.NOTIFICATIONS)
    assert held is not None
    assert (held.removed, await left(sessions, "messages")) == (0, 1)
    free = await retention.remove(Kept.NOTIFICATIONS)
    assert free is not None
    assert (free.removed, await left(sessions, "messages")) == (1, 0)
