"""A bridge in this process on the run's real servers, and what tests ask of them."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from bridge.intake import Step, no_step
from bridge.main import run
from bridge.producer import EventProducer
from bridge.topics import all_topics
from notifications.catalogue.publish import apply_folder
from notifications.database import Sessions, execute, transaction
from notifications.ids import event_uuid
from notifications.settings import Settings

EXTRA_TOPIC = "acme.events"
HASH_KEY = "0123456789abcdef0123456789abcdef"
_KAFKA = {"session.timeout.ms": 10_000, "heartbeat.interval.ms": 500, "fetch.wait.max.ms": 10}
TRANSACTIONAL = "transactional.notifications"


async def eventually(
    condition: Callable[[], Awaitable[Any]], *, within: float = 30.0, what: str = "the condition"
) -> Any:
    """The first true answer of `condition`."""
    deadline = time.monotonic() + within
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"{what} did not come true within {within} s"
        await asyncio.sleep(0.05)
    return found


@dataclass
class Bench:
    """The servers of one test, by the names a bridge knows them by."""

    bootstrap: str
    database_url: str
    sessions: Sessions
    client: Client
    producer: EventProducer

    async def prepare(self) -> None:
        """Topics and catalogue; safe to repeat."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap, "allow.auto.create.topics": True})
        for topic in all_topics([EXTRA_TOPIC]):
            await eventually(lambda name=topic: self._has_partitions(admin, name), what=f"topic {topic}")
        await apply_folder("catalogue", self.sessions)

    async def _has_partitions(self, admin: AdminClient, topic: str) -> bool:
        found = await asyncio.to_thread(admin.list_topics, topic, timeout=10)
        return bool(found.topics[topic].partitions)

    async def send(
        self, content: Mapping[str, Any] | bytes | None, topic: str = TRANSACTIONAL, key: str | None = None
    ) -> tuple[int, int]:
        value = json.dumps(content).encode() if isinstance(content, Mapping) else content
        return await self.producer.enqueue(topic, key, value)  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def bridge(
        self, *, on_step: Step = no_step, kafka: Mapping[str, Any] | None = None, **more: Any
    ) -> AsyncIterator["asyncio.Task[None]"]:
        """A bridge until the block ends; its own failure fails the test."""
        settings = Settings(
            database_url=SecretStr(self.database_url),
            hash_key=SecretStr(HASH_KEY),
            topics=(EXTRA_TOPIC,),
            **{"max_untried": 1_000_000, **more},
        )
        stopping = asyncio.Event()
        task = asyncio.create_task(
            run(
                settings,
                {**_KAFKA, "bootstrap.servers": self.bootstrap, **(kafka or {})},
                stopping=stopping,
                temporal=self._connect,
                on_step=on_step,
            )
        )
        try:
            yield task
        finally:
            stopping.set()
            await asyncio.wait_for(task, 60)

    async def _connect(self) -> Client:
        return self.client

    async def row(self, whole: Mapping[str, Any]) -> Any:
        """The notification of an event, or None."""
        async with self.sessions() as session:
            found = await execute(
                session, "SELECT * FROM notifications WHERE id = :id", {"id": event_uuid(whole["source"], whole["id"])}
            )
            return found.one_or_none()

    async def started(self, whole: Mapping[str, Any]) -> Any:
        row = await self.row(whole)
        return row if row is not None and row.started_at is not None else None

    async def rejection(self, place: tuple[int, int], topic: str = TRANSACTIONAL) -> Any:
        """The rejected event at this partition and offset, or None."""
        statement = 'SELECT * FROM rejected_events WHERE topic = :topic AND partition = :p AND "offset" = :o'
        async with self.sessions() as session:
            found = await execute(session, statement, {"topic": topic, "p": place[0], "o": place[1]})
            return found.one_or_none()

    async def runs(self, notification_id: UUID) -> list[str]:
        """The run ids of a notification's workflow, as far as the search knows them yet."""
        found = self.client.list_workflows(f"WorkflowId = 'notification-{notification_id}'")
        return [one.run_id async for one in found]

    async def has_workflow(self, whole: Mapping[str, Any]) -> bool:
        handle = self.client.get_workflow_handle(f"notification-{event_uuid(whole['source'], whole['id'])}")
        try:
            await handle.describe()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True

    async def try_all(self) -> None:
        """As if workers had tried everything there is."""
        async with transaction(self.sessions) as session:
            await execute(session, "UPDATE notifications SET tried_at = now() WHERE tried_at IS NULL")

    async def lag(self, group: str = "tidings-urgent", topic: str = TRANSACTIONAL) -> int:
        """Records of the topic after those that the group has committed."""

        async def read() -> tuple[int] | None:
            with contextlib.suppress(KafkaException):  # a fresh broker's coordinator is still loading
                return (await asyncio.to_thread(self._lag, group, topic),)
            return None

        (behind,) = await eventually(read, what="an answer of the group's coordinator")
        return int(behind)

    async def caught_up(self) -> None:
        """Every transactional record there is has been committed as done."""

        async def is_caught_up() -> bool:
            return await self.lag() == 0

        await eventually(is_caught_up, within=60, what="a lag of 0")

    def _lag(self, group: str, topic: str) -> int:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        try:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            places = [TopicPartition(topic, number) for number in partitions]
            behind = 0
            for place in consumer.committed(places, timeout=10):
                start, end = consumer.get_watermark_offsets(TopicPartition(topic, place.partition), timeout=10)
                behind += end - (place.offset if place.offset >= 0 else start)
            return behind
        finally:
            consumer.close()


async def count(sessions: Sessions, statement: str, **parameters: Any) -> int:
    async with sessions() as session:
        connection = await session.connection()
        return int(await connection.scalar(text(statement), parameters) or 0)
