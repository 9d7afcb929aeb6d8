"""The lag that a bridge shows: what waits in each partition while it does not read, none once it has caught up."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence

from prometheus_client import REGISTRY

from bridge.consumer import RecordConsumer
from bridge.producer import EventProducer
from bridge.readiness import Readiness
from notifications.events import Record
from tests.bridge.running import eventually
from tests.support.events import unique


class _Reader:
    """A consumer of a topic of its own, which reads as long as nothing closes its gate."""

    def __init__(self, bootstrap: str, *, fetch_wait_ms: int = 10) -> None:
        self.bootstrap = bootstrap
        self.fetch_wait_ms = fetch_wait_ms
        self.topic = unique("lag")
        self.closed_because: str | None = None
        self.is_paused = False
        self.records = 0

    async def produce(self, count: int) -> Counter[int]:
        """How many went to each partition."""
        async with EventProducer({"bootstrap.servers": self.bootstrap}) as producer:
            places = await asyncio.gather(*(producer.enqueue(self.topic, str(number), b"x") for number in range(count)))
        return Counter(partition for partition, _ in places)

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        consumer = RecordConsumer(
            {
                "bootstrap.servers": self.bootstrap,
                "fetch.wait.max.ms": self.fetch_wait_ms,
                "heartbeat.interval.ms": 500,
            },
            group=unique("group"),
            topics=[self.topic],
            handle=self._handle,
            gate=self._gate,
            readiness=Readiness(),
        )
        task = asyncio.create_task(consumer.run())
        try:
            yield
        finally:
            consumer.stop()
            await asyncio.wait_for(task, 60)

    def _gate(self, _topic: str) -> str | None:
        self.is_paused = self.closed_because is not None
        return self.closed_because

    async def _handle(self, records: Sequence[Record]) -> None:
        self.records += len(records)

    def lag(self, partition: int) -> float | None:
        labels = {"topic": self.topic, "partition": str(partition)}
        return REGISTRY.get_sample_value("tidings_bridge_lag", labels)

    async def shows(self, expected: Counter[int]) -> None:
        async def found() -> bool:
            return all(self.lag(partition) == count for partition, count in expected.items())

        await eventually(found, what=f"a lag of {dict(expected)}")


async def test_what_waits_shows_by_partition_until_it_is_read(kafka_bootstrap: str) -> None:
    reader = _Reader(kafka_bootstrap)
    await reader.produce(20)
    async with reader.reading():
        await eventually(lambda: _reached(reader, 20))
        reader.closed_because = "untried"
        await eventually(lambda: _is_paused(reader))
        waiting = await reader.produce(40)
        await reader.shows(waiting)
        reader.closed_because = None
        await eventually(lambda: _reached(reader, 60))
        await reader.shows(Counter(dict.fromkeys(waiting, 0)))
    assert all(reader.lag(partition) is None for partition in waiting), "another member's partition is not ours to show"


async def test_what_waited_before_the_start_counts(kafka_bootstrap: str) -> None:
    reader = _Reader(kafka_bootstrap)
    reader.closed_because = "trouble"
    waiting = await reader.produce(30)
    async with reader.reading():
        await reader.shows(waiting)
        assert reader.records == 0


async def test_no_question_waits_behind_a_fetch_that_waits_for_records(kafka_bootstrap: str) -> None:
    reader = _Reader(kafka_bootstrap, fetch_wait_ms=40_000)
    read = await reader.produce(10)
    async with reader.reading():
        await reader.shows(Counter(dict.fromkeys(read, 0)))


async def _reached(reader: _Reader, count: int) -> bool:
    return reader.records == count


async def _is_paused(reader: _Reader) -> bool:
    return reader.is_paused
