"""A batch is one transaction; running it twice changes nothing; only a guilty record is rejected."""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.campaigns.events import CampaignEvents
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, execute, transaction
from notifications.events import Record, RejectedError, parse
from notifications.events.intent import Interpreter, NewNotification
from notifications.events.topics import topic_for
from notifications.ledger import Ledger
from notifications.queries.intake import Arrival, Canceller, IntakeStore, Stored
from notifications.settings import Settings
from notifications.statuses import NotificationType
from tests.support.events import CATALOGUE, cancel, event, record, unique

_HASH_KEY = b"0123456789abcdef"
_INTERPRETER = Interpreter()
_TOPIC = "transactional.notifications"


def _store(sessions: Sessions, ledger: Canceller) -> IntakeStore:
    campaigns = CampaignEvents(CatalogueStore(sessions).current, Settings())
    return IntakeStore(sessions, ledger=ledger, campaigns=campaigns, hash_key=_HASH_KEY)


@pytest.fixture
def store(sessions: Sessions) -> IntakeStore:
    return _store(sessions, Ledger(sessions, process="test"))


def _arrival(found: Record) -> Arrival:
    try:
        return Arrival(found, _INTERPRETER.interpret(parse(found), CATALOGUE, topic=found.topic))
    except RejectedError as error:
        return Arrival(found, error)


def _arrivals(*events: Any, partition: int | None = None) -> list[Arrival]:
    place = partition if partition is not None else int(unique("1")[-7:], 16)
    return [_arrival(record(one, offset=offset, partition=place)) for offset, one in enumerate(events)]


def _id(arrival: Arrival) -> UUID:
    assert isinstance(arrival.verdict, NewNotification)
    return arrival.verdict.event.notification_id


async def _row(sessions: Sessions, notification_id: UUID) -> Any:
    async with sessions() as session:
        connection = await session.connection()
        found = await connection.execute(text("SELECT * FROM notifications WHERE id = :id"), {"id": notification_id})
        return found.one_or_none()


async def _rejections(sessions: Sessions, arrival: Arrival) -> list[Any]:
    statement = text("SELECT * FROM rejected_events WHERE topic = :topic AND partition = :partition ORDER BY 4")
    async with sessions() as session:
        place = {"topic": arrival.record.topic, "partition": arrival.record.partition}
        return list(await (await session.connection()).execute(statement, place))


async def test_good_and_bad_are_stored_and_the_good_need_a_start(store: IntakeStore, sessions: Sessions) -> None:
    good, bad = _arrivals(event(recipient="cus_7", cancelkey="k", sendat="2027-01-01T00:00:00Z"), b"\0{")
    stored = await store.store([good, bad])
    assert [start.id for start in stored.starts] == [_id(good)]
    assert (stored.starts[0].type, stored.starts[0].definition) == (NotificationType.TRANSACTIONAL, "payment.succeeded")
    assert [(one.reason, one.offset) for one in stored.rejected] == [("not_json", 1)]
    row = await _row(sessions, _id(good))
    assert (row.recipient_id, row.recipient_ref, row.category) == ("cus_7", stored.starts[0].recipient_ref, "tests")
    assert row.sendat == datetime(2027, 1, 1, tzinfo=UTC)
    assert row.event["data"] == {"payment_id": "pay_1", "amount": "49.90", "currency": "EUR"}
    assert (row.started_at, row.status) == (None, "running")
    (rejected,) = await _rejections(sessions, bad)
    assert (rejected.value, rejected.reason, rejected.offset) == (b"\0{", "not_json", 1)


async def test_a_second_delivery_returns_only_starts_that_are_missing(store: IntakeStore, sessions: Sessions) -> None:
    arrivals = _arrivals(event(), event(), b"bad")
    await store.store(arrivals)
    await store.mark_started([_id(arrivals[0])])
    again = await store.store(arrivals)
    assert [start.id for start in again.starts] == [_id(arrivals[1])]
    assert len(await _rejections(sessions, arrivals[2])) == 1


async def test_a_guest_is_known_by_a_hash_of_the_address(store: IntakeStore, sessions: Sessions) -> None:
    data = {"payment_id": "p", "amount": "1.00"}
    first, second = _arrivals(
        event(recipient=..., data={**data, "recipient": {"email": "Ana@Example.org", "name": "Ana"}}),
        event(recipient=..., data={**data, "recipient": {"email": "ana@example.org"}}),
    )
    await store.store([first, second])
    rows = [await _row(sessions, _id(one)) for one in (first, second)]
    assert rows[0].recipient_id == rows[1].recipient_id
    assert rows[0].guest == {"email": "Ana@Example.org", "name": "Ana"}
    assert rows[0].event["data"] == data


async def test_an_id_used_for_another_payload_is_rejected(store: IntakeStore, sessions: Sessions) -> None:
    first, other = _arrivals(event(id=(name := unique())), event(id=name, recipient="cus_9"))
    stored = await store.store([first, other])
    assert [start.id for start in stored.starts] == [_id(first)]
    (rejected,) = await _rejections(sessions, other)
    assert (rejected.reason, rejected.event_id, rejected.offset) == ("id_reused", name, 1)
    assert (await _row(sessions, _id(first))).recipient_id == "cus_42"


def _smuggled(arrival: Arrival, **data: Any) -> Arrival:
    """What parsing would have refused, as if a rule of it were missing."""
    assert isinstance(arrival.verdict, NewNotification)
    return Arrival(arrival.record, dataclasses.replace(arrival.verdict, data=data))


@pytest.mark.parametrize("data", ["\0", "\ud800", float("nan"), float("inf")], ids=["nul", "surrogate", "nan", "inf"])
async def test_only_the_record_that_postgres_refuses_is_rejected(
    store: IntakeStore, sessions: Sessions, data: object
) -> None:
    arrivals = _arrivals(event(), event(), event())
    arrivals[1] = _smuggled(arrivals[1], note=data)
    stored = await store.store(arrivals)
    assert {start.id for start in stored.starts} == {_id(arrivals[0]), _id(arrivals[2])}
    (rejected,) = await _rejections(sessions, arrivals[1])
    assert (rejected.reason, rejected.offset) == ("unstorable", 1)
    assert rejected.value == arrivals[1].record.value


@pytest.mark.parametrize("source", ["x" * 12_000, "\ud800"], ids=["over-long index key", "surrogate in a text column"])
async def test_attributes_that_postgres_refuses(store: IntakeStore, sessions: Sessions, source: str) -> None:
    good, bad = _arrivals(event(), event(cancelkey="k"))
    assert isinstance(bad.verdict, NewNotification)
    # random letters: Postgres compresses an index key before it measures it
    wrong = source if len(source) < 9 else "".join(unique() for _ in range(1000))
    smuggled = dataclasses.replace(bad.verdict.event, source=wrong)
    stored = await store.store([good, Arrival(bad.record, dataclasses.replace(bad.verdict, event=smuggled))])
    assert [start.id for start in stored.starts] == [_id(good)]
    assert [one.reason for one in stored.rejected] == ["unstorable"]


class _Deadlocked:
    """A ledger whose statement loses a deadlock, as PostgreSQL says it."""

    async def cancel(self, session: AsyncSession, _ids: Sequence[UUID]) -> dict[UUID, Any]:
        await execute(session, "DO $$ BEGIN RAISE deadlock_detected; END $$")
        return {}


async def test_a_fault_of_the_database_rejects_nothing(store: IntakeStore, sessions: Sessions) -> None:
    key = unique("key")
    await _stored_cancel(store, key)
    arrivals = _arrivals(event(cancelkey=key), b"bad")
    with pytest.raises(DBAPIError):
        await _store(sessions, _Deadlocked()).store(arrivals)
    assert await _rejections(sessions, arrivals[1]) == []
    assert await _row(sessions, _id(arrivals[0])) is None
    assert [one.reason for one in (await store.store(arrivals)).rejected] == ["not_json"]


async def _stored_cancel(store: IntakeStore, key: str, time: str = "2026-11-22T12:00:00Z", **more: Any) -> Stored:
    return await store.store(_arrivals(cancel(key, time=time, **more)))


async def test_a_cancel_after_its_event(store: IntakeStore, sessions: Sessions) -> None:
    key = unique("key")
    early, late, foreign = _arrivals(
        event(cancelkey=key, time="2026-11-22T12:00:00Z"),
        event(cancelkey=key, time="2026-11-22T12:00:01Z"),
        event(cancelkey=key, source="https://other.example"),
    )
    await store.store([early, late, foreign])
    stored = await _stored_cancel(store, key)
    assert stored.cancelled == [_id(early)]
    row = await _row(sessions, _id(early))
    assert (row.status, row.cancelled_at is not None) == ("cancelled", True)
    for spared in (late, foreign):
        assert (await _row(sessions, _id(spared))).cancelled_at is None


async def test_a_cancel_before_its_event(store: IntakeStore, sessions: Sessions) -> None:
    key = unique("key")
    assert (await _stored_cancel(store, key)).cancelled == []
    early, late = _arrivals(event(cancelkey=key), event(cancelkey=key, time="2026-11-23T00:00:00Z"))
    stored = await store.store([early, late])
    assert stored.cancelled == [_id(early)]
    assert {start.id for start in stored.starts} == {_id(early), _id(late)}
    assert (await _row(sessions, _id(early))).status == "cancelled"
    assert (await _row(sessions, _id(late))).status == "running"


async def test_a_cancel_and_its_event_in_one_batch(store: IntakeStore, sessions: Sessions) -> None:
    key = unique("key")
    asked, made = _arrivals(cancel(key, time="2026-11-22T12:00:00Z"), event(cancelkey=key))
    assert (await store.store([asked, made])).cancelled == [_id(made)]


async def test_the_latest_cancel_is_kept(store: IntakeStore, sessions: Sessions) -> None:
    key = unique("key")
    await _stored_cancel(store, key, time="2026-11-22T12:00:00Z")
    await _stored_cancel(store, key, time="2026-11-20T12:00:00Z")
    (made,) = _arrivals(event(cancelkey=key, time="2026-11-21T12:00:00Z"))
    assert (await store.store([made])).cancelled == [_id(made)]


async def test_a_redelivered_cancel_wakes_again_what_has_not_finished(store: IntakeStore, sessions: Sessions) -> None:
    key = unique("key")
    (made,) = _arrivals(event(cancelkey=key))
    await store.store([made])
    assert (await _stored_cancel(store, key)).cancelled == [_id(made)]
    before = (await _row(sessions, _id(made))).cancelled_at
    assert (await _stored_cancel(store, key)).cancelled == [_id(made)]
    assert (await _row(sessions, _id(made))).cancelled_at == before


@pytest.mark.parametrize(
    ("event_type", "kind", "planned_count_for"),
    [
        ("security.new_login", NotificationType.ALERT, 1),  # 15 planned ones are one place, and a half that is none
        ("cart.abandoned", NotificationType.PROMOTIONAL, 15),
    ],
)
async def test_untried_counts_what_is_due_up_to_the_limit(
    store: IntakeStore, sessions: Sessions, event_type: str, kind: NotificationType, planned_count_for: int
) -> None:
    """A slow channel fills up with planned ones: of urgent types they count little, or nobody else would be read."""
    async with transaction(sessions) as session:
        await execute(session, "UPDATE notifications SET tried_at = now() WHERE type = :type", {"type": kind})
    arrivals = [_arrival(record(event(type=event_type), topic=topic_for(kind))) for _ in range(20)]
    await store.store(arrivals)
    later, tried, *planned = [_id(one) for one in arrivals][:17]  # the last three have no plan yet
    async with transaction(sessions) as session:
        for change, ids in (
            ("due_at = now() + interval '1 h'", [later]),
            ("due_at = now(), tried_at = now()", [tried]),
            ("due_at = now()", planned),
        ):
            await execute(session, f"UPDATE notifications SET {change} WHERE id = ANY (:ids)", {"ids": ids})
    assert (await store.count_untried(10_000))[kind] == 3 + planned_count_for
    assert (await store.count_untried(2))[kind] == 2
