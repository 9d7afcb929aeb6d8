"""Outcomes leave the outbox in order, once, by one publisher, through outages."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from bridge.outcomes import OutcomePublisher, encode
from bridge.producer import EventProducer
from bridge.readiness import Patience, Readiness
from bridge.topics import OUTCOMES
from notifications.campaigns import changes
from notifications.campaigns.lifecycle import Asked, CommandName, carry_out
from notifications.database import Sessions, execute, transaction
from notifications.ids import message_id
from notifications.queries.outbox import Outcome, become_publisher
from notifications.queries.reconciliation import ReconciliationStore, Unpublished
from notifications.statuses import MessageStatus
from tests.bridge.running import eventually
from tests.support.campaigns import insert_campaign
from tests.support.faulty_kafka import MSG_SIZE_TOO_LARGE, NOT_ENOUGH_REPLICAS, PRODUCE, FaultyCluster


class _Bench:
    def __init__(self, engine: AsyncEngine, sessions: Sessions) -> None:
        self.engine, self.sessions = engine, sessions
        self.cluster = FaultyCluster({OUTCOMES: 1})
        self.readiness = Readiness()

    @contextlib.asynccontextmanager
    async def publisher(self) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        config = {"bootstrap.servers": self.cluster.bootstrap, "retry.backoff.ms": 50, "reconnect.backoff.max.ms": 200}
        async with EventProducer(config, delivery_timeout=3) as producer:
            patience = Patience(self.readiness, stopping, owner="outcomes")
            publisher = OutcomePublisher(self.engine, producer, patience=patience, stopping=stopping)
            task = asyncio.create_task(publisher.run())
            try:
                yield
            finally:
                stopping.set()
                await asyncio.wait_for(task, 30)

    async def change(self, origin_id: UUID, version: int, status: str = "sent", *, stuck: bool = False) -> None:
        async with transaction(self.sessions) as session:
            await execute(
                session,
                "INSERT INTO outbox (origin_id, origin_kind, seq, version, channel, status, stuck, attempt)"
                " VALUES (:origin, 'notification', 1, :version, 'email', :status, :stuck, 1)",
                {"origin": origin_id, "version": version, "status": status, "stuck": stuck},
            )

    async def age(self, origin_id: UUID, *, minutes: int) -> None:
        async with transaction(self.sessions) as session:
            statement = "UPDATE outbox SET created_at = now() - make_interval(mins => :minutes) WHERE origin_id = :id"
            await execute(session, statement, {"id": origin_id, "minutes": minutes})

    async def published(self, origin_id: UUID) -> list[dict[str, Any]]:
        """The outcomes of this notification or campaign on the topic, in its order."""
        everything = await asyncio.to_thread(self._read)
        ids = ("notification_id", "campaign_id")
        return [one for one in everything if str(origin_id) in (one["data"].get(name) for name in ids)]

    def _read(self) -> list[dict[str, Any]]:
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": "t", "fetch.wait.max.ms": 10})
        try:
            _, end = consumer.get_watermark_offsets(TopicPartition(OUTCOMES, 0), timeout=10)
            consumer.assign([TopicPartition(OUTCOMES, 0, 0)])
            found: list[dict[str, Any]] = []
            while len(found) < end:
                found += [json.loads(message.value() or b"") for message in consumer.consume(500, 0.2)]
            return found
        finally:
            consumer.close()

    async def all_published(self, origin_id: UUID) -> bool:
        async with self.sessions() as session:
            statement = "SELECT count(*) FROM outbox WHERE origin_id = :id AND published_at IS NULL"
            return (await execute(session, statement, {"id": origin_id})).scalar_one() == 0


@pytest.fixture
async def bench(engine: AsyncEngine, sessions: Sessions) -> AsyncIterator[_Bench]:
    yield _Bench(engine, sessions)
    async with transaction(sessions) as session:  # each test's broker is its own, the outbox is not
        await execute(session, "UPDATE outbox SET published_at = now() WHERE published_at IS NULL")


async def test_in_order_and_once_though_two_publish(bench: _Bench) -> None:
    origin = uuid4()
    for version in range(1, 31):
        await bench.change(origin, version)
    async with bench.publisher(), bench.publisher():
        await eventually(lambda: bench.all_published(origin))
        await bench.change(origin, 31, "delivered")
        await eventually(lambda: bench.all_published(origin))
    found = await bench.published(origin)
    assert [one["data"]["version"] for one in found] == list(range(1, 32))
    assert len({one["id"] for one in found}) == 31


async def test_the_second_publisher_takes_over(bench: _Bench) -> None:
    origin = uuid4()
    async with bench.publisher():
        async with bench.publisher():
            await bench.change(origin, 1)
            await eventually(lambda: bench.all_published(origin))
        await bench.change(origin, 2)
        await eventually(lambda: bench.all_published(origin))
    assert [one["data"]["version"] for one in await bench.published(origin)] == [1, 2]


@pytest.mark.parametrize("errors", [[NOT_ENOUGH_REPLICAS] * 3, [MSG_SIZE_TOO_LARGE]], ids=["retried", "refused once"])
async def test_a_broker_that_refuses_for_a_while(bench: _Bench, errors: list[int]) -> None:
    origin = uuid4()
    bench.cluster.fail(PRODUCE, *errors)
    await bench.change(origin, 1)
    async with bench.publisher():
        await eventually(lambda: bench.all_published(origin))
    assert [one["data"]["version"] for one in await bench.published(origin)] == [1]


async def test_a_broker_that_is_away(bench: _Bench) -> None:
    origin = uuid4()
    bench.cluster.down()
    await bench.change(origin, 1)
    async with bench.publisher():

        async def troubled() -> bool:
            return "outcomes (outcomes)" in bench.readiness.problems()

        await eventually(troubled, what="trouble in the readiness")
        assert not await bench.all_published(origin)
        bench.cluster.up()
        await eventually(lambda: bench.all_published(origin), within=60)
    assert [one["data"]["version"] for one in await bench.published(origin)] == [1]


async def test_a_broken_database_connection_is_made_again(bench: _Bench) -> None:
    origin = uuid4()
    async with bench.publisher():
        await bench.change(origin, 1)
        await eventually(lambda: bench.all_published(origin))
        async with transaction(bench.sessions) as session:
            await execute(
                session,
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            )
        await bench.change(origin, 2)
        await eventually(lambda: bench.all_published(origin))
    assert [one["data"]["version"] for one in await bench.published(origin)] == [1, 2]


async def test_a_publisher_with_much_to_do_is_not_taken_for_one_that_hangs(bench: _Bench) -> None:
    done, waiting = uuid4(), uuid4()
    for origin in (done, waiting):
        await bench.change(origin, 1)
    await bench.age(waiting, minutes=11)
    store = ReconciliationStore(bench.sessions)
    async with transaction(bench.sessions) as session:
        await execute(session, "UPDATE outbox SET published_at = now() WHERE origin_id = :id", {"id": done})
    assert await store.unpublished(10) == Unpublished(1, ANY, moving=True)
    async with bench.publisher():
        await eventually(lambda: bench.all_published(waiting))


async def _shown_age_is(wanted: Callable[[float], bool]) -> bool:
    return wanted(REGISTRY.get_sample_value("tidings_bridge_outcome_age_seconds") or 0.0)


async def test_a_publisher_that_hangs_is_seen_by_the_others_and_cut_off(bench: _Bench) -> None:
    origin = uuid4()
    await bench.change(origin, 1)
    await bench.age(origin, minutes=11)
    async with transaction(bench.sessions) as session:
        await execute(session, "UPDATE outbox SET published_at = published_at - interval '2 minutes'")
    store = ReconciliationStore(bench.sessions)
    async with bench.engine.connect() as hanging:
        assert await become_publisher(await hanging.execution_options(isolation_level="AUTOCOMMIT"))
        async with bench.publisher():
            await eventually(lambda: _shown_age_is(lambda seconds: seconds > 600))
            assert await store.unpublished(10) == Unpublished(1, ANY, moving=False)
            assert await store.cut_publisher()
            await eventually(lambda: bench.all_published(origin))
            await eventually(lambda: _shown_age_is(lambda seconds: seconds == 0))
        await hanging.invalidate()
    assert (await store.unpublished(10)).waiting == 0
    assert not await store.cut_publisher(), "nobody publishes"


async def test_what_becomes_of_a_campaign_with_its_counts(bench: _Bench) -> None:
    event = {"source": "https://acme.example/marketing", "event_id": "spring-2027"}
    campaign = await insert_campaign(bench.sessions, messages=3, round=2, version=4, **event)
    for command, change in ((CommandName.PAUSE, changes.pause), (CommandName.CANCEL, changes.cancel)):
        async with transaction(bench.sessions) as session:
            await carry_out(session, campaign, command, Asked(by="ana"), change)
    async with bench.publisher():
        await eventually(lambda: bench.all_published(campaign))
    paused, cancelled = await bench.published(campaign)
    assert (paused["type"], paused["data"]["status"]) == ("tidings.campaign.paused", "paused")
    assert (paused["partitionkey"], paused["causationid"]) == (str(campaign), "spring-2027")
    counts = dict.fromkeys(MessageStatus, 0) | {"targeted": 3, "cancelled": 3}
    wanted = {"campaign_id": str(campaign), "round": 2, "version": 6, "status": "cancelled", "counts": counts}
    assert (cancelled["type"], cancelled["data"]) == ("tidings.campaign.cancelled", wanted)
    assert REGISTRY.get_sample_value("tidings_bridge_outcomes_total", {"status": "campaign_cancelled"})


def _outcome(**given: Any) -> Outcome:
    values = {
        "id": 7,
        "origin_id": UUID("a56453a4-7db3-5408-8b23-96f8b4313634"),
        "origin_kind": "notification",
        "seq": 1,
        "version": 3,
        "channel": "email",
        "provider": "smtp",
        "status": "delivered",
        "stuck": False,
        "reason": None,
        "attempt": 1,
        "created_at": datetime(2026, 11, 22, 10, 15, 1, tzinfo=UTC),
        "recipient_id": "cus_42",
        "event_source": "https://acme.example/payments",
        "event_id": "pay_8812-succeeded",
    }
    return Outcome(**{**values, **given})


def test_the_published_shape() -> None:
    key, value = encode(_outcome())
    assert key == "cus_42"
    assert json.loads(value) == {
        "specversion": "1.0",
        "id": "7",
        "source": "/tidings",
        "type": "tidings.message.delivered",
        "time": "2026-11-22T10:15:01Z",
        "datacontenttype": "application/json",
        "recipient": "cus_42",
        "causationid": "pay_8812-succeeded",
        "partitionkey": "cus_42",
        "data": {
            "event": {"source": "https://acme.example/payments", "id": "pay_8812-succeeded"},
            "notification_id": "a56453a4-7db3-5408-8b23-96f8b4313634",
            "campaign_id": None,
            "message_id": "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac",
            "version": 3,
            "channel": "email",
            "provider": "smtp",
            "status": "delivered",
            "reason": None,
            "attempt": 1,
        },
    }


def test_a_stuck_message_is_pending_with_its_reason() -> None:
    document = json.loads(encode(_outcome(status="pending", stuck=True, reason="smtp_451"))[1])
    assert document["type"] == "tidings.message.stuck"
    assert (document["data"]["status"], document["data"]["reason"]) == ("pending", "smtp_451")


def test_a_campaigns_message_names_the_campaign() -> None:
    campaign = uuid4()
    whole = _outcome(
        origin_id=campaign, origin_kind="campaign", recipient_id=None, event_source=None, event_id=None, seq=9
    )
    key, value = encode(whole)
    document = json.loads(value)
    assert key == str(campaign)
    assert "recipient" not in document
    assert "causationid" not in document
    assert (document["data"]["event"], document["data"]["notification_id"]) == (None, None)
    assert document["data"]["campaign_id"] == str(campaign)
    assert document["data"]["message_id"] == str(message_id(campaign, 9))
