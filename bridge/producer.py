"""The one producer: idempotent, and each record awaited until the broker has it."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from bridge.kafka_settings import producer_config

_FLUSH_SECONDS = 10.0

Delivery = tuple[int, int]  # partition, offset


class ProduceError(Exception):
    """The broker did not take a record, or not in time."""


class EventProducer:
    """Safe for concurrent use within one event loop. `delivery_timeout` in seconds bounds each `produce`."""

    def __init__(self, config: Mapping[str, Any], *, delivery_timeout: float = 30.0) -> None:
        timeout = {"delivery.timeout.ms": int(delivery_timeout * 1000)}
        self._producer = Producer(timeout | producer_config(config), logger=logging.getLogger("kafka.producer"))
        self._stopping = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="kafka-producer", daemon=True)
        self._poller.start()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def produce(
        self, topic: str, key: str | bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> Delivery:
        """Hand over a record and wait for its delivery report. Records handed over in order arrive in order.

        Raises:
            ProduceError: says why; the record may be produced again.

        """
        return await self.enqueue(topic, key, value, headers)

    def enqueue(
        self, topic: str, key: str | bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> asyncio.Future[Delivery]:
        """Hand over a record now; the future is its delivery report.

        Raises:
            ProduceError: the local queue is full, or librdkafka refuses the record.

        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Delivery] = loop.create_future()

        def report(error: KafkaError | None, message: Message) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits for the report any more
                loop.call_soon_threadsafe(_settle, future, error, message.partition(), message.offset())

        try:
            self._producer.produce(topic, value=value, key=key, headers=list(headers), on_delivery=report)
        except BufferError as error:
            raise ProduceError("Kafka does not answer and the queue of waiting records is full") from error
        except KafkaException as error:
            raise ProduceError(_words(error.args[0])) from error
        return future

    async def check(self, *, within: float = 5.0) -> set[str]:
        """The names of the topics there are.

        Raises:
            ProduceError: no broker answers.

        """
        try:
            return set((await asyncio.to_thread(self._producer.list_topics, timeout=within)).topics)
        except KafkaException as error:
            raise ProduceError(_words(error.args[0])) from error

    async def close(self) -> None:
        """Send what waits, for at most 10 s, and stop."""
        await asyncio.to_thread(self._producer.flush, _FLUSH_SECONDS)
        self._stopping.set()
        await asyncio.to_thread(self._poller.join)

    def _poll(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(0.1)


def _settle(
    future: asyncio.Future[Delivery], error: KafkaError | None, partition: int | None, offset: int | None
) -> None:
    if future.done():
        return  # whoever asked has gone
    if error is not None:
        future.set_exception(ProduceError(_words(error)))
    elif partition is not None and offset is not None:
        future.set_result((partition, offset))


def _words(error: KafkaError) -> str:
    return f"Kafka did not take the record ({error.name()}): {error.str()}"
