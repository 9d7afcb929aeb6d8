"""The outbox to `notifications.outcomes`: by one process at a time, in order, marked once the broker has it."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.metrics import OUTCOME_AGE, OUTCOME_SECONDS, OUTCOMES
from bridge.producer import EventProducer
from bridge.readiness import Patience, StoppedError
from bridge.topics import OUTCOMES as TOPIC
from notifications.campaigns.accounts import Account, count
from notifications.database import create_sessions
from notifications.ids import message_id
from notifications.queries.outbox import Outcome, become_publisher, mark_published, oldest_unpublished, unpublished
from notifications.statuses import MessageStatus

_BATCH = 500
_SHORTEST_WAIT, _LONGEST_WAIT = 0.05, 1.0  # seconds between two looks
_HEADERS = (("content-type", b"application/cloudevents+json"),)

log = structlog.get_logger()


class OutcomePublisher:
    """Consumers may see an outcome twice, after a crash between its delivery and its mark: the id is the same."""

    def __init__(
        self, engine: AsyncEngine, producer: EventProducer, *, patience: Patience, stopping: asyncio.Event
    ) -> None:
        self._engine = engine
        self._sessions = create_sessions(engine)
        self._producer = producer
        self._patience = patience
        self._stopping = stopping

    async def run(self) -> None:
        """Publish until the process stops, through any outage of Postgres or Kafka."""
        with contextlib.suppress(StoppedError):
            while not self._stopping.is_set():
                await self._patience.until_done("outcomes", self._lead)

    async def _lead(self) -> None:
        """Hold the lock and publish until the process stops or the connection breaks."""
        async with self._engine.connect() as given:
            connection = await given.execution_options(isolation_level="AUTOCOMMIT")
            try:
                while not await become_publisher(connection):
                    _show_age(await oldest_unpublished(connection))
                    await self._wait(_LONGEST_WAIT)
                log.info("outcomes.leading")
                await self._publish_all(connection)
            finally:
                await given.invalidate()  # closed, not pooled: the lock ends with it

    async def _publish_all(self, connection: AsyncConnection) -> None:
        wait = _SHORTEST_WAIT
        while True:
            outcomes = await unpublished(connection, _BATCH)
            _show_age(outcomes[0].created_at if outcomes else None)
            if outcomes:
                await self._publish(connection, outcomes)
            wait = _SHORTEST_WAIT if outcomes else min(wait * 2, _LONGEST_WAIT)
            if len(outcomes) < _BATCH:
                await self._wait(wait)

    async def _publish(self, connection: AsyncConnection, outcomes: list[Outcome]) -> None:
        """Hand all over in order, then mark those that arrived; the first failure is raised after that."""
        accounts = await self._accounts(outcomes)
        reports: list[asyncio.Future[Any]] = []
        failure: BaseException | None = None
        for outcome in outcomes:
            key, value = encode(outcome, accounts.get(outcome.origin_id) if outcome.is_of_campaign else None)
            try:
                reports.append(self._producer.enqueue(TOPIC, key, value, _HEADERS))
            except Exception as error:  # noqa: BLE001 - raised below, once what was handed over is marked
                failure = error
                break
        results = await asyncio.gather(*reports, return_exceptions=True)
        arrived = [one for one, result in zip(outcomes, results, strict=False) if not isinstance(result, BaseException)]
        if arrived:
            await mark_published(connection, [outcome.id for outcome in arrived])
            _count(arrived)
        failure = next((result for result in results if isinstance(result, BaseException)), failure)
        if failure is not None:
            raise failure

    async def _accounts(self, outcomes: list[Outcome]) -> dict[UUID, Account]:
        """How far the campaigns are that an outcome is about."""
        campaigns = {outcome.origin_id for outcome in outcomes if outcome.is_of_campaign}
        return {campaign: await count(self._sessions, campaign) for campaign in campaigns}

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise StoppedError


def encode(outcome: Outcome, account: Account | None = None) -> tuple[str, bytes]:
    """The record's key and value (docs/contracts: "Outcomes out"); holds ids, never an address.

    `account` is of the campaign that the outcome is about.
    """
    key = outcome.recipient_id or str(outcome.origin_id)
    recipient = {"recipient": outcome.recipient_id} if outcome.recipient_id is not None else {}
    cause = {"causationid": outcome.event_id} if outcome.event_id is not None else {}
    word = "stuck" if outcome.stuck else outcome.status
    document = {
        "specversion": "1.0",
        "id": str(outcome.id),
        "source": "/tidings",
        "type": f"tidings.{'campaign' if outcome.is_of_campaign else 'message'}.{word}",
        "time": outcome.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        **recipient,
        **cause,
        "partitionkey": key,
        "data": _message(outcome) if account is None else _campaign(outcome, account),
    }
    return key, orjson.dumps(document)


def _message(outcome: Outcome) -> dict[str, Any]:
    is_campaign = outcome.origin_kind == "campaign"
    event = {"source": outcome.event_source, "id": outcome.event_id}
    return {
        "event": None if is_campaign or outcome.event_id is None else event,
        "notification_id": None if is_campaign else str(outcome.origin_id),
        "campaign_id": str(outcome.origin_id) if is_campaign else None,
        "message_id": str(message_id(outcome.origin_id, outcome.seq)),
        "version": outcome.version,
        "channel": outcome.channel,
        "provider": outcome.provider,
        "status": outcome.status,
        "reason": outcome.reason,
        "attempt": outcome.attempt,
    }


def _campaign(outcome: Outcome, account: Account) -> dict[str, Any]:
    return {
        "campaign_id": str(outcome.origin_id),
        "round": outcome.attempt,
        "version": outcome.version,
        "status": outcome.status,
        "counts": {"targeted": account.targeted, **{str(each): account.of(each) for each in MessageStatus}},
    }


def _show_age(oldest: datetime | None) -> None:
    """By every bridge, so that a publisher that hangs is seen by those that wait for its place."""
    OUTCOME_AGE.set(0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds()))


def _count(arrived: list[Outcome]) -> None:
    now = datetime.now(UTC)
    for outcome in arrived:
        word = "stuck" if outcome.stuck else outcome.status
        OUTCOMES.labels(f"campaign_{word}" if outcome.is_of_campaign else word).inc()
        OUTCOME_SECONDS.observe(max(0.0, (now - outcome.created_at).total_seconds()))
