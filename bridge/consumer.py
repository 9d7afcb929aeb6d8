"""One thread that owns a Kafka consumer: batches out to the event loop, completions back, contiguous commits.

Every call of confluent-kafka's Consumer waits for a poll in flight in another thread, so nothing else touches it.
"""

import asyncio
import functools
import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from bridge.broker_watch import BrokerWatch
from bridge.kafka_settings import consumer_config
from bridge.metrics import IN_FLIGHT, LAG, PAUSED, REBALANCES
from bridge.readiness import Readiness, StoppedError
from bridge.records import record_of
from bridge.topics import MOST_IN_FLIGHT
from bridge.watermark import Watermark
from notifications.events import Record

_BATCHES = 4  # that fill what may be in flight
# Seconds with too much in flight. A pause throws away what was fetched; without one, a rebalance waits for a poll.
_PAUSE_AFTER = 1.0
_WAIT = 0.05  # seconds without a record before completions and pauses are looked at
_COMMIT_EVERY = 0.5  # seconds; the lag is shown as often
_DRAIN_SECONDS = 10.0  # far below max.poll.interval.ms

Partition = tuple[str, int]
Handler = Callable[[Sequence[Record]], Awaitable[None]]
Gate = Callable[[str], str | None]  # topic → why it is not to be read now

log = structlog.get_logger()


class RecordConsumer:
    """Reads `topics` in a group of its own.

    `handle` is given a batch on the event loop and returns when all of it is done; an error of it stops the consumer,
    since going on would skip records. `gate` is asked from the consumer's thread. With `most_in_flight` records whose
    work has not ended reading stops, and goes on at half of it.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        group: str,
        topics: Sequence[str],
        handle: Handler,
        gate: Gate,
        readiness: Readiness,
        most_in_flight: int = MOST_IN_FLIGHT,
    ) -> None:
        self._watch = BrokerWatch(config, group=group, topics=topics, readiness=readiness)
        self._config = {
            **consumer_config(config, group),
            "on_commit": self._on_commit,
            "error_cb": self._watch.note_error,
            "logger": logging.getLogger("kafka.consumer"),
        }
        self._group = group
        self._topics = list(topics)
        self._handle = handle
        self._gate = gate
        self._most_in_flight = most_in_flight
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._ended: queue.SimpleQueue[tuple[list[tuple[Watermark, int]], Future[None]]] = queue.SimpleQueue()
        self._marks: dict[Partition, Watermark] = {}
        self._paused: dict[Partition, str] = {}
        self._throttled_since: float | None = None  # too much is in flight
        self._holds_back = False  # and it may soon be less
        self._failure: BaseException | None = None
        self._outstanding = 0  # batches handed out

    async def run(self) -> None:
        """Read until `stop`; then end what is in flight, commit and leave the group.

        Raises:
            Exception: what made the consumer's thread end; records not committed are read again by the next one.

        """
        thread = threading.Thread(target=self._own, name=f"kafka-{self._group}", daemon=True)
        thread.start()
        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch.keep_looking(self._marks))
                await asyncio.to_thread(thread.join)
                watching.cancel()
        finally:
            self._stopping.set()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._stopping.set()

    # Everything below runs in the thread that owns the consumer.

    def _own(self) -> None:
        try:
            self._consumer = Consumer(self._config)
            try:
                self._consumer.subscribe(
                    self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
                )
                self._read()
                self._settle()
            finally:
                self._consumer.close()  # revokes: drains, commits, leaves the group
        except BaseException as error:  # noqa: BLE001 - handed to `run`
            self._failure = self._failure or error

    def _read(self) -> None:
        committed_at = 0.0
        while not self._stopping.is_set():
            if self._holds_back:
                self._reap(_WAIT)
            else:
                # one record at once, and whatever has arrived with it: a full batch is never waited for
                messages = self._consumer.consume(1, _WAIT)
                batch = self._most_in_flight // _BATCHES
                self._submit(messages + self._consumer.consume(batch, 0) if messages else [])
                self._reap()
            self._regulate()
            now = time.monotonic()
            if now - committed_at >= _COMMIT_EVERY:
                committed_at = now
                self._commit(list(self._marks), wait=False)
                self._watch.show_lag(self._marks)

    def _settle(self) -> None:
        """End what is in flight and have it committed; polling goes on, since a rebalance refuses commits until then.

        Whatever is still polled is not handed out, so nobody will take it for done.
        """
        deadline = time.monotonic() + _DRAIN_SECONDS
        self._pause([partition for partition in self._marks if partition not in self._paused])
        while self._failure is None and time.monotonic() < deadline:
            self._reap()
            if not self._outstanding and all(mark.to_commit is None for mark in self._marks.values()):
                return
            self._commit(list(self._marks), wait=False)
            self._consumer.consume(1, 2 * _WAIT)

    def _submit(self, messages: Sequence[Message]) -> None:
        tickets: list[tuple[Watermark, int]] = []
        records: list[Record] = []
        for message in messages:
            error = message.error()
            if error is not None:
                self._watch.note_error(error)
                continue
            record = record_of(message)
            mark = self._marks.get((record.topic, record.partition))
            if mark is None:
                continue  # its partition went to another consumer meanwhile, which reads it
            mark.hand_out(record.offset)
            tickets.append((mark, record.offset))
            records.append(record)
        if records:
            self._outstanding += 1
            future = asyncio.run_coroutine_threadsafe(self._handled(records), self._loop)
            future.add_done_callback(functools.partial(self._end, tickets))

    async def _handled(self, records: Sequence[Record]) -> None:
        await self._handle(records)

    def _end(self, tickets: list[tuple[Watermark, int]], future: "Future[None]") -> None:
        self._ended.put((tickets, future))

    def _reap(self, timeout: float = 0.0) -> None:
        """Take note of ended batches; a batch of a partition that was lost meanwhile moves a mark nobody reads."""
        while True:
            try:
                tickets, future = self._ended.get(timeout=timeout) if timeout else self._ended.get_nowait()
            except queue.Empty:
                return
            timeout = 0.0
            self._outstanding -= 1
            error = future.exception()
            if error is None:
                for mark, offset in tickets:
                    mark.finish(offset)
            elif not isinstance(error, StoppedError):
                self._failure = self._failure or error
                self._stopping.set()

    def _regulate(self) -> None:
        """Pause what must wait and resume what may go on."""
        in_flight = sum(mark.in_flight for mark in self._marks.values())
        IN_FLIGHT.labels(self._group).set(in_flight)
        is_throttled = in_flight >= self._most_in_flight // (1 if self._throttled_since is None else 2)
        now = time.monotonic()
        self._throttled_since = (self._throttled_since or now) if is_throttled else None
        must_pause = is_throttled and now - (self._throttled_since or now) >= _PAUSE_AFTER
        self._holds_back = is_throttled and not must_pause
        wanted: dict[Partition, str] = {}
        for partition in self._marks:
            reason = "in_flight" if must_pause else self._gate(partition[0])
            if reason is not None:
                wanted[partition] = reason
        pause = [partition for partition in wanted if partition not in self._paused]
        resume = [partition for partition in self._paused if partition not in wanted and partition in self._marks]
        self._pause(pause)
        if resume:
            self._consumer.resume([TopicPartition(*partition) for partition in resume])
        if wanted != self._paused:
            counts = Counter(wanted.values())
            for reason in {*self._paused.values(), *counts}:
                PAUSED.labels(self._group, reason).set(counts[reason])
            self._paused = wanted

    def _pause(self, partitions: Sequence[Partition]) -> None:
        if partitions:
            self._consumer.pause([TopicPartition(*partition) for partition in partitions])

    def _commit(self, partitions: Sequence[Partition], *, wait: bool) -> None:
        offsets = [
            TopicPartition(*partition, mark.to_commit)
            for partition in partitions
            if (mark := self._marks.get(partition)) is not None and mark.to_commit is not None
        ]
        if not offsets:
            return
        try:
            if wait:
                self._on_commit(None, self._consumer.commit(offsets=offsets, asynchronous=False))
            else:
                self._consumer.commit(offsets=offsets)
        except KafkaException as error:
            # nothing is lost: the next commit, or the next owner of the partition, says the same
            log.warning("consumer.commit_failed", group=self._group, error=error.args[0].name())

    def _on_commit(self, error: KafkaError | None, offsets: Sequence[TopicPartition] | None) -> None:
        """Only here, or as the answer of a waiting commit, does an offset count as committed."""
        for offset in offsets or ():
            wrong = error or offset.error
            mark = self._marks.get((offset.topic, offset.partition))
            if wrong is not None:
                log.warning("consumer.commit_failed", group=self._group, error=wrong.name())
            elif mark is not None:
                mark.confirm(offset.offset)

    def _on_assign(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        REBALANCES.labels(self._group, "assigned").inc()
        log.info("consumer.assigned", group=self._group, partitions=_named(partitions))
        for partition in partitions:
            self._marks[partition.topic, partition.partition] = Watermark()

    def _on_revoke(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        REBALANCES.labels(self._group, "revoked").inc()
        keys = [(partition.topic, partition.partition) for partition in partitions]
        deadline = time.monotonic() + _DRAIN_SECONDS
        while self._is_busy(keys) and self._outstanding and time.monotonic() < deadline and self._failure is None:
            self._reap(0.05)
        self._commit(keys, wait=True)
        log.info("consumer.revoked", group=self._group, partitions=_named(partitions), drained=not self._is_busy(keys))
        self._forget(keys)

    def _on_lost(self, _consumer: Consumer, partitions: Sequence[TopicPartition]) -> None:
        """Another member may own them already: no commit."""
        REBALANCES.labels(self._group, "lost").inc()
        log.warning("consumer.lost", group=self._group, partitions=_named(partitions))
        self._forget([(partition.topic, partition.partition) for partition in partitions])

    def _is_busy(self, partitions: Sequence[Partition]) -> bool:
        return any(mark.in_flight for partition in partitions if (mark := self._marks.get(partition)) is not None)

    def _forget(self, partitions: Sequence[Partition]) -> None:
        for partition in partitions:
            self._marks.pop(partition, None)
            self._paused.pop(partition, None)
            LAG.remove_by_labels({"topic": partition[0], "partition": str(partition[1])})


def _named(partitions: Sequence[TopicPartition]) -> list[str]:
    return sorted(f"{partition.topic}[{partition.partition}]" for partition in partitions)
