"""The consumer's thread against a broker that fails: nothing is skipped, and only what is done is committed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
from confluent_kafka import Consumer, TopicPartition

from bridge.consumer import RecordConsumer
from bridge.producer import EventProducer
from bridge.readiness import Readiness, StoppedError
from notifications.events import Record
from tests.bridge.running import eventually
from tests.support.events import unique
from tests.support.faulty_kafka import HEARTBEAT, OFFSET_COMMIT, REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, FaultyCluster

_TOPIC = "t"


class _Bench:
    """One consumer of a topic with one partition, whose records end when the test says so."""

    def __init__(self) -> None:
        self.cluster = FaultyCluster({_TOPIC: 1})
        self.group = unique("group")
        self.readiness = Readiness()
        self.seen: list[int] = []
        self.done: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.failure: Exception | None = None
        self.closed_because: str | None = None

    async def handle(self, records: Sequence[Record]) -> None:
        self.seen += [record.offset for record in records]
        await self.open.wait()
        if self.failure is not None:
            raise self.failure
        self.done += [record.offset for record in records]

    @contextlib.asynccontextmanager
    async def consumer(self, **options: int) -> AsyncIterator["asyncio.Task[None]"]:
        consumer = RecordConsumer(
            {
                "bootstrap.servers": self.cluster.bootstrap,
                "fetch.wait.max.ms": 10,
                "session.timeout.ms": 6000,
                "heartbeat.interval.ms": 100,
                "reconnect.backoff.max.ms": 200,
                "auto.offset.reset": "earliest",
            },
            group=self.group,
            topics=[_TOPIC],
            handle=self.handle,
            gate=lambda _topic: self.closed_because,
            readiness=self.readiness,
            **options,
        )
        task = asyncio.create_task(consumer.run())
        try:
            yield task
        finally:
            consumer.stop()
            await asyncio.wait({task}, timeout=60)

    async def produce(self, count: int) -> None:
        async with EventProducer({"bootstrap.servers": self.cluster.bootstrap}) as producer:
            await asyncio.gather(*(producer.enqueue(_TOPIC, None, b"x") for _ in range(count)))

    async def committed(self) -> int:
        return await asyncio.to_thread(self._committed)

    def _committed(self) -> int:
        consumer = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": self.group})
        try:
            (place,) = consumer.committed([TopicPartition(_TOPIC, 0)], timeout=10)
            return int(place.offset)
        finally:
            consumer.close()

    async def all_done(self, count: int) -> None:
        async def found() -> bool:
            return sorted(set(self.done)) == list(range(count))

        await eventually(found, what=f"the end of {count} records")

    async def all_committed(self, count: int) -> None:
        async def found() -> bool:
            return await self.committed() == count

        await eventually(found, what=f"a commit at {count}")


@pytest.fixture
async def bench() -> _Bench:
    return _Bench()


async def test_all_is_done_once_and_committed(bench: _Bench) -> None:
    await bench.produce(250)
    async with bench.consumer():
        await bench.all_done(250)
        await bench.all_committed(250)
    assert len(bench.done) == 250
    async with bench.consumer():
        await bench.produce(1)
        await bench.all_done(251)
    assert len(bench.done) == 251


async def test_what_is_not_done_is_not_committed(bench: _Bench) -> None:
    await bench.produce(10)
    bench.open.clear()
    async with bench.consumer() as task:

        async def seen() -> bool:
            return len(bench.seen) == 10

        await eventually(seen)
        bench.failure = StoppedError()
        bench.open.set()
    assert task.exception() is None
    assert await bench.committed() < 0
    bench.failure = None
    async with bench.consumer():
        await bench.all_done(10)


async def test_a_graceful_stop_ends_what_is_in_flight_and_commits_it(bench: _Bench) -> None:
    await bench.produce(10)
    bench.open.clear()
    async with bench.consumer() as task:

        async def seen() -> bool:
            return len(bench.seen) == 10

        await eventually(seen)
        asyncio.get_running_loop().call_later(0.3, bench.open.set)
    assert task.exception() is None
    assert await bench.committed() == 10


async def test_an_error_of_the_handler_stops_the_consumer_and_skips_nothing(bench: _Bench) -> None:
    await bench.produce(3)
    bench.failure = RuntimeError("a bug")
    async with bench.consumer() as task:
        with pytest.raises(RuntimeError, match="a bug"):
            await task
    assert await bench.committed() < 0


async def test_failed_commits_are_said_again_until_the_broker_confirms(bench: _Bench) -> None:
    bench.cluster.fail(OFFSET_COMMIT, *[REBALANCE_IN_PROGRESS] * 3)
    await bench.produce(5)
    async with bench.consumer():
        await bench.all_done(5)
        await bench.all_committed(5)


async def test_a_broker_that_goes_away_and_comes_back(bench: _Bench) -> None:
    await bench.produce(5)
    async with bench.consumer():
        await bench.all_done(5)
        bench.cluster.down()

        async def troubled() -> bool:
            return "kafka" in str(bench.readiness.problems())

        await eventually(troubled, what="trouble in the readiness")
        bench.cluster.up()
        await bench.produce(5)
        await bench.all_done(10)
        await bench.all_committed(10)

        async def well() -> bool:
            return not bench.readiness.problems()

        await eventually(well, what="an end of the trouble")


async def test_a_lost_partition_is_forgotten_and_read_again(bench: _Bench) -> None:
    await bench.produce(5)
    bench.open.clear()
    async with bench.consumer():

        async def seen() -> bool:
            return len(bench.seen) == 5

        await eventually(seen)
        bench.cluster.fail(HEARTBEAT, UNKNOWN_MEMBER_ID)

        async def seen_again() -> bool:
            return len(bench.seen) == 10

        await eventually(seen_again, what="the second delivery")
        bench.open.set()
        await bench.all_done(5)
        await bench.all_committed(5)


async def test_a_closed_gate_stops_reading_and_an_open_one_goes_on(bench: _Bench) -> None:
    bench.closed_because = "untried"
    async with bench.consumer() as task:

        async def ready() -> bool:
            return not bench.readiness.problems()

        await eventually(ready)
        await bench.produce(600)

        async def paused() -> bool:
            return bool(bench.seen) or task.done()

        with contextlib.suppress(AssertionError):
            await eventually(paused, within=1.0)
        first = len(bench.seen)
        assert first < 600  # what was fetched before the pause may have come through
        bench.closed_because = None
        await bench.all_done(600)


@pytest.mark.parametrize("most", [400, 50])
async def test_a_slow_handler_bounds_what_is_in_flight(bench: _Bench, most: int) -> None:
    """What the process holds of a backlog is this, however long the backlog."""
    backlog = 8 * most
    bench.open.clear()
    await bench.produce(backlog)
    async with bench.consumer(most_in_flight=most):

        async def throttled() -> bool:
            return len(bench.seen) >= most

        await eventually(throttled)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: _more_than(bench, 2 * most), within=0.5)
        assert len(bench.seen) <= most + most // 4
        bench.open.set()
        await bench.all_done(backlog)


async def _more_than(bench: _Bench, count: int) -> bool:
    return len(bench.seen) > count


async def test_a_missing_topic_is_named(bench: _Bench) -> None:
    consumer = RecordConsumer(
        {"bootstrap.servers": bench.cluster.bootstrap},
        group=bench.group,
        topics=["no.such.topic"],
        handle=bench.handle,
        gate=lambda _topic: None,
        readiness=bench.readiness,
    )
    task = asyncio.create_task(consumer.run())

    async def named() -> bool:
        return "no.such.topic" in str(bench.readiness.problems())

    await eventually(named)
    consumer.stop()
    await task
