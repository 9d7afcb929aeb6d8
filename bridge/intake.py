"""A batch of records on its way in: checked, stored in one transaction, started, and only then done."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from bridge.metrics import INTAKE_SECONDS, RECORDS, REJECTED, STORE_SECONDS
from bridge.readiness import Patience
from notifications.campaigns.events import TouchedCampaign
from notifications.events import Record, RejectedError, RejectReason, parse
from notifications.events.intent import DefinitionIndex, Intent, Interpreter
from notifications.pending import PendingStart
from notifications.queries.intake import Arrival, IntakeStore, Stored
from notifications.statuses import NotificationType

log = structlog.get_logger()

_CLOCKS = timedelta(days=1)  # no two are further apart

Step = Callable[[str], Awaitable[None]]


async def no_step(_step: str) -> None:
    """Nothing happens between two steps but in tests, which let the process die there."""


class Definitions(Protocol):
    """Where the published catalogue comes from."""

    async def current(self) -> DefinitionIndex: ...


class Workflows(Protocol):
    async def start(self, pending: PendingStart) -> None: ...

    async def wake_cancelled(self, notification_id: UUID) -> None: ...

    async def tell_campaign(self, touched: TouchedCampaign) -> None: ...


class Intake:
    """One per consumer. Batches are stored one after the other and started side by side.

    `remembered_for` is how long the ledger recognises a repeat; None: for ever.
    `on_step` is awaited with "stored", "started" and "marked" once each of these is done for a batch.
    """

    def __init__(
        self,
        *,
        store: IntakeStore,
        definitions: Definitions,
        workflows: Workflows,
        patience: Patience,
        note_starts: Callable[[list[NotificationType]], None],
        remembered_for: timedelta | None = None,
        on_step: Step = no_step,
    ) -> None:
        self._store = store
        self._remembered_for = remembered_for
        self._definitions = definitions
        self._workflows = workflows
        self._patience = patience
        self._note_starts = note_starts
        self._on_step = on_step
        self._interpreter = Interpreter()
        self._turn = asyncio.Lock()

    async def handle(self, records: Sequence[Record]) -> None:
        """Return when every record is started (a notification or campaign), a cancel that is kept, or rejected.

        Safe to repeat.

        Raises:
            StoppedError: the process ends; the batch is read again after the restart.

        """
        began = time.monotonic()
        async with self._turn:
            stored = await self._patience.until_done("postgres", lambda: self._persist(records))
        await self._on_step("stored")
        self._note_starts([start.type for start in stored.starts])
        await self._start_all(stored.starts)
        await self._on_step("started")
        await self._wake_all(stored.cancelled)
        await self._tell_campaigns(stored.campaigns)
        if stored.starts:
            ids = [start.id for start in stored.starts]
            await self._patience.until_done("postgres", lambda: self._store.mark_started(ids))
        await self._on_step("marked")
        INTAKE_SECONDS.observe(time.monotonic() - began)
        _report(records, stored)

    async def _persist(self, records: Sequence[Record]) -> Stored:
        definitions = await self._definitions.current()
        arrivals = [Arrival(record, self._verdict(record, definitions)) for record in records]
        with STORE_SECONDS.time():
            return await self._store.store(arrivals)

    def _verdict(self, record: Record, definitions: DefinitionIndex) -> Intent | RejectedError:
        if self._is_forgotten(record):
            detail = (
                "the record is so old that a repeat of it would not be recognised: replay it if it was not delivered"
            )
            return RejectedError(RejectReason.TOO_OLD, detail)
        try:
            return self._interpreter.interpret(parse(record), definitions, topic=record.topic)
        except RejectedError as error:
            return error

    def _is_forgotten(self, record: Record) -> bool:
        """Whether its notification may have been removed already, if there was one (notifications/retention.py)."""
        if self._remembered_for is None or record.written_at is None:
            return False
        return record.written_at < datetime.now(UTC) - self._remembered_for + _CLOCKS

    async def _start_all(self, starts: Sequence[PendingStart]) -> None:
        """All at once within the starter's bound; those that failed again and again, until none is left."""
        left = list(starts)

        async def attempt() -> None:
            nonlocal left
            results = await asyncio.gather(*map(self._workflows.start, left), return_exceptions=True)
            failed = [(start, error) for start, error in zip(left, results, strict=True) if error is not None]
            left = [start for start, _ in failed]
            if failed:
                raise failed[0][1]

        await self._patience.until_done("temporal", attempt)

    async def _wake_all(self, cancelled: Sequence[UUID]) -> None:
        async def attempt() -> None:
            await asyncio.gather(*map(self._workflows.wake_cancelled, cancelled))

        await self._patience.until_done("temporal", attempt)

    async def _tell_campaigns(self, touched: Sequence[TouchedCampaign]) -> None:
        async def attempt() -> None:
            await asyncio.gather(*map(self._workflows.tell_campaign, touched))

        await self._patience.until_done("temporal", attempt)


def _report(records: Sequence[Record], stored: Stored) -> None:
    for record in records:
        RECORDS.labels(record.topic).inc()
    for start in stored.starts:
        log.info("notification.started", notification_id=str(start.id), definition=start.definition)
    for campaign in stored.campaigns:
        log.info("campaign.told", campaign_id=str(campaign.id), ended=campaign.ended)
    for one in stored.rejected:
        REJECTED.labels(one.reason).inc()
        log.info("event.rejected", topic=one.topic, partition=one.partition, offset=one.offset, reason=str(one.reason))
