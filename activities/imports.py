"""Write the rows of an import, some blocks at a time."""

import time
from dataclasses import dataclass
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities import metrics
from activities.infrastructure import infrastructure
from activities.reconciliation import Repairs
from activities.starting import start_import
from notifications.imports.blocks import ImportBlocks, Progress
from notifications.imports.writing import Outcome

SECONDS = 60  # of one run: the next goes on
_AT_ONCE = 100  # imports that one run of reconciliation looks at

log = structlog.get_logger()


@dataclass(frozen=True)
class ImportInput:
    import_id: str


class ImportActivities:
    def __init__(self, blocks: ImportBlocks, client: Client, *, seconds: float = SECONDS) -> None:
        self._blocks = blocks
        self._client = client
        self._seconds = seconds

    @activity.defn
    async def import_rows(self, wanted: ImportInput) -> Progress:
        """Each block is a transaction of its own: breaking off at any point writes and counts nothing twice."""
        until = time.monotonic() + self._seconds
        while True:
            async with infrastructure():
                progress, outcome = await self._blocks.advance(UUID(wanted.import_id))
            _count(outcome)
            activity.heartbeat(progress.rows, progress.total)
            if progress.finished:
                log.info("import.finished", import_id=wanted.import_id, rows=progress.rows)
                return progress
            if time.monotonic() >= until or activity.is_worker_shutdown():
                return progress

    @activity.defn
    async def reconcile_imports(self) -> Repairs:
        """Imports that are uploaded and that nothing has moved for some minutes."""
        async with infrastructure():
            idle = await self._blocks.idle(_AT_ONCE)
        started = 0
        for import_id in idle:
            try:
                await start_import(self._client, import_id, again=True)
            except WorkflowAlreadyStartedError:
                continue  # it runs, and something it needs does not answer
            started += 1
            metrics.REPAIRS.labels("import").inc()
            log.warning("reconciliation.started", kind="import", import_id=str(import_id))
        return Repairs(len(idle), {"import": started})


def _count(outcome: Outcome) -> None:
    for name in ("created", "updated", "unchanged", "superseded"):
        metrics.IMPORT_ROWS.labels(name).inc(getattr(outcome, name))
    metrics.IMPORT_ROWS.labels("refused").inc(len(outcome.refusals))
