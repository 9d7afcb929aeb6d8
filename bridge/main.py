"""The bridge's composition root: Kafka in, Temporal started, outcomes out, until it is told to stop."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.temporal import connect
from bridge.backlog import Backlog
from bridge.campaign_states import CampaignStates
from bridge.consumer import RecordConsumer
from bridge.intake import Intake, Step, no_step
from bridge.kafka_settings import kafka_config
from bridge.outcomes import OutcomePublisher
from bridge.producer import EventProducer
from bridge.readiness import Patience, Readiness, StoppedError
from bridge.starts import Starter
from bridge.topics import Subscription, subscriptions
from notifications.addresses import require_hash_key
from notifications.campaigns.events import CampaignEvents
from notifications.catalogue.store import CatalogueStore
from notifications.database import create_engine, create_sessions
from notifications.ledger import Ledger
from notifications.metrics_endpoint import serve_metrics
from notifications.queries.intake import IntakeStore
from notifications.schema_check import StaleSchemaError, check_schema
from notifications.settings import Settings, load_settings
from notifications.telemetry import configure_logging

log = structlog.get_logger()


async def main() -> None:
    """Run until SIGTERM or SIGINT; what is in flight is ended, committed and published first.

    Raises:
        ValueError: a setting is missing or wrong; says which.
        StaleSchemaError: the database is not at this code's revision.

    """
    settings = load_settings()
    configure_logging("bridge", settings.log_format)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    with contextlib.suppress(StoppedError):
        await run(settings, kafka_config(os.environ), stopping=stopping)
    await asyncio.sleep(0.1)  # the SDK's threads crash an interpreter that exits at once


async def run(
    settings: Settings,
    kafka: Mapping[str, Any],
    *,
    stopping: asyncio.Event,
    temporal: Callable[[], Awaitable[Client]] = connect,
    on_step: Step = no_step,
) -> None:
    """Serve until `stopping` is set; `temporal` connects, `on_step` is described at `Intake`.

    Raises:
        StaleSchemaError: the database is not at this code's revision.
        StoppedError: stopped before everything it needs had answered once.
        KafkaException: a consumer can never go on, for example since another member has its static id.

    """
    wanted, hash_key = subscriptions(settings.topics), require_hash_key(settings.hash_key)
    readiness = Readiness()
    readiness.expect("temporal", "not connected yet")
    engine = create_engine(settings.database_url, pool_size=settings.database_pool_size)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        await stack.enter_async_context(
            serve_metrics(settings.metrics_host, settings.metrics_port, ready=readiness.problems)
        )
        patience = Patience(readiness, stopping, owner="start")
        await _schema_checked(engine, patience)
        client = await patience.until_done("temporal", temporal)
        readiness.well("temporal")
        producer = await stack.enter_async_context(EventProducer(kafka))
        sessions = create_sessions(engine)
        catalogue = CatalogueStore(sessions)
        store = IntakeStore(
            sessions,
            ledger=Ledger(sessions, process="bridge"),
            campaigns=CampaignEvents(catalogue.current, settings),
            hash_key=hash_key,
        )
        parts = _Parts(
            store=store,
            definitions=catalogue,
            starter=Starter(client, public_url=settings.public_url),
            backlog=Backlog(store, limit=settings.max_untried),
            campaigns=CampaignStates(sessions),
            remembered_for=settings.retention.ledger,
            readiness=readiness,
            stopping=stopping,
            on_step=on_step,
        )
        consumers = [parts.consumer(kafka, one) for one in wanted]
        outcomes = OutcomePublisher(
            engine, producer, patience=Patience(readiness, stopping, owner="outcomes"), stopping=stopping
        )
        log.info("bridge.started", topics=[topic for one in wanted for topic in one.topics])
        await _serve(consumers, outcomes, parts)
    log.info("bridge.stopped")


class _Parts:
    """What the consumers share, and how one of them is put together."""

    def __init__(
        self,
        *,
        store: IntakeStore,
        definitions: CatalogueStore,
        starter: Starter,
        backlog: Backlog,
        campaigns: CampaignStates,
        remembered_for: timedelta | None,
        readiness: Readiness,
        stopping: asyncio.Event,
        on_step: Step,
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._starter = starter
        self.backlog = backlog
        self.campaigns = campaigns
        self._remembered_for = remembered_for
        self.readiness = readiness
        self.stopping = stopping
        self._on_step = on_step

    def consumer(self, kafka: Mapping[str, Any], subscription: Subscription) -> RecordConsumer:
        patience = Patience(self.readiness, self.stopping, owner=subscription.group)
        intake = Intake(
            store=self._store,
            definitions=self._definitions,
            workflows=self._starter,
            patience=patience,
            note_starts=self.backlog.note,
            remembered_for=self._remembered_for,
            on_step=self._on_step,
        )

        def gate(topic: str) -> str | None:
            if patience.is_tried:
                return "trouble"
            return "untried" if self.backlog.is_full(subscription.types[topic]) else None

        return RecordConsumer(
            kafka,
            group=subscription.group,
            topics=subscription.topics,
            handle=intake.handle,
            gate=gate,
            readiness=self.readiness,
            most_in_flight=subscription.most_in_flight,
        )


async def _serve(consumers: list[RecordConsumer], outcomes: OutcomePublisher, parts: _Parts) -> None:
    """Until told to stop or until a part ends by itself, which is a failure; then stop the others in order."""
    patience = Patience(parts.readiness, parts.stopping, owner="bridge")
    reading = [asyncio.create_task(consumer.run()) for consumer in consumers]
    publishing = asyncio.create_task(outcomes.run())
    counting = [asyncio.create_task(part.keep_fresh(patience)) for part in (parts.backlog, parts.campaigns)]
    waiting = asyncio.create_task(parts.stopping.wait())
    await asyncio.wait({*reading, publishing, waiting}, return_when=asyncio.FIRST_COMPLETED)
    log.info("bridge.stopping")
    for consumer in consumers:
        consumer.stop()
    parts.stopping.set()
    results = await asyncio.gather(*reading, publishing, return_exceptions=True)
    for task in (*counting, waiting):
        task.cancel()
    await asyncio.gather(*counting, waiting, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _schema_checked(engine: AsyncEngine, patience: Patience) -> None:
    """Wait for a database that does not answer, but not for one whose schema is another."""

    async def attempt() -> StaleSchemaError | None:
        try:
            await check_schema(engine)
        except StaleSchemaError as error:
            return error
        return None

    stale = await patience.until_done("postgres", attempt)
    if stale is not None:
        raise stale
