"""A bridge in this process on the run's real servers, and what tests ask of them."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from pydantic import SecretStr
from sqlalchemy import text
from temporalio.client import Client

from bridge.intake import Step, no_step
from bridge.main import run
from bridge.producer import EventProducer
from bridge.topics import all_topics
from notifications.catalogue.publish import apply_folder
from notifications.database import Sessions, execute
from notifications.ids import event_uuid
from notifications.settings import Settings

EXTRA_TOPIC = "acme.events"
HASH_KEY = "0123456789abcdef0123456789abcdef"
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
    settings: dict[str, Any] = field(default_factory=dict)

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
    async def bridge(self, *, on_step: Step = no_step, **more: Any) -> AsyncIterator["asyncio.Task[None]"]:
        """A bridge until the block ends; its own failure fails the test."""
        settings = Settings(
            database_url=SecretStr(self.database_url),
            hash_key=SecretStr(HASH_KEY),
            topics=(EXTRA_TOPIC,),
            max_untried=1_000_000,
            **{**self.settings, **more},
        )
        stopping = asyncio.Event()
        task = asyncio.create_task(
            run(
                settings,
                {"bootstrap.servers": self.bootstrap, "session.timeout.ms": 10_000, "heartbeat.interval.ms": 500},
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

    async def workflows(self, ids: Sequence[UUID]) -> int:
        """How many runs there are, of all these notifications together."""
        runs = 0
        for one in ids:
            description = await self.client.get_workflow_handle(f"notification-{one}").describe()
            runs += description.id == f"notification-{one}"
        return runs

    async def lag(self, group: str = "tidings-urgent", topic: str = TRANSACTIONAL) -> int:
        """Records of the topic after those that the group has committed."""
        return await asyncio.to_thread(self._lag, group, topic)

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
