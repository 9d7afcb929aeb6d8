"""Start workflows that should be running and are not. Never sends: the ledger decides what a started one may do."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities import metrics
from activities.infrastructure import infrastructure
from activities.temporal import (
    DEFINITION,
    NOTIFICATION_TYPE,
    RECIPIENT_REF,
    notification_workflow_id,
    orchestrator_queue,
    priority_key,
)
from notifications.queries.reconciliation import ReconciliationStore, Unfinished

NOTIFICATION_WORKFLOW = "NotificationWorkflow"
_CONCURRENT = 20
_PAGE = 500
_MAX_PAGES = 20  # of each kind and run: the next run goes on
_RPC_TIMEOUT = timedelta(seconds=10)
_PREFIX = notification_workflow_id("")

log = structlog.get_logger()


@dataclass(frozen=True)
class ClosedSince:
    """None: everything that Temporal still keeps."""

    since: datetime | None


@dataclass(frozen=True)
class Repairs:
    """How many workflows were started, by what was wrong; `checked` were looked at."""

    checked: int = 0
    started: dict[str, int] = field(default_factory=dict)


class ReconciliationActivities:
    def __init__(self, store: ReconciliationStore, client: Client) -> None:
        self._store = store
        self._client = client
        self._slots = asyncio.Semaphore(_CONCURRENT)

    @activity.defn
    async def reconcile_never_started(self) -> Repairs:
        """Notifications that are stored and whose start was never acknowledged."""
        return await self._pages("never_started")

    @activity.defn
    async def reconcile_overdue(self) -> Repairs:
        """Notifications whose workflow should have acted 10 min ago; stuck ones past their expiry are among them."""
        return await self._pages("overdue")

    @activity.defn
    async def reconcile_ended(self, closed: ClosedSince) -> Repairs:
        """Workflows that were terminated, failed or timed out while their notification has not ended."""
        query = f"WorkflowType = '{NOTIFICATION_WORKFLOW}' AND ExecutionStatus IN ('Terminated', 'Failed', 'TimedOut')"
        if closed.since is not None:
            query += f" AND CloseTime >= '{closed.since.isoformat()}'"
        page: list[UUID] = []
        checked = started = 0
        async for execution in self._client.list_workflows(query):
            page.append(UUID(execution.id.removeprefix(_PREFIX)))
            if len(page) == _PAGE:
                checked, started = checked + len(page), started + await self._ended(page)
                page = []
                activity.heartbeat(checked)
        checked, started = checked + len(page), started + await self._ended(page)
        return Repairs(checked, {"ended": started})

    async def _ended(self, ids: Sequence[UUID]) -> int:
        if not ids:
            return 0
        async with infrastructure():
            found = await self._store.unfinished(ids)
        return await self._start_all(found, "ended")

    async def _pages(self, kind: str) -> Repairs:
        find = {"never_started": self._store.never_started, "overdue": self._store.overdue}[kind]
        checked = started = 0
        for _ in range(_MAX_PAGES):
            async with infrastructure():
                found = await find(_PAGE)
            checked += len(found)
            started += await self._start_all(found, kind)
            activity.heartbeat(checked)
            if len(found) < _PAGE:
                break
        return Repairs(checked, {kind: started})

    async def _start_all(self, found: Sequence[Unfinished], kind: str) -> int:
        """Start each, then note that it runs; dying in between starts nothing twice, since the id is taken."""
        if not found:
            return 0
        answers = await asyncio.gather(*(self._start(each, kind) for each in found))
        async with infrastructure():
            await self._store.mark_seen([each.id for each in found])
        return sum(answers)

    async def _start(self, wanted: Unfinished, kind: str) -> bool:
        """Whether it was started now: it runs already, or has completed, more often than not."""
        async with self._slots:
            try:
                handle = await self._client.start_workflow(
                    NOTIFICATION_WORKFLOW,
                    {"notification_id": str(wanted.id)},
                    id=notification_workflow_id(wanted.id),
                    task_queue=orchestrator_queue(wanted.type),
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                    priority=Priority(priority_key=priority_key(wanted.type)),
                    search_attributes=_attributes(wanted),
                    static_summary=f"{wanted.definition[:200]}, started again by reconciliation",
                    rpc_timeout=_RPC_TIMEOUT,
                )
            except WorkflowAlreadyStartedError:
                return False
        metrics.REPAIRS.labels(kind).inc()
        log.warning(
            "reconciliation.started", kind=kind, notification_id=str(wanted.id), run_id=handle.first_execution_run_id
        )
        return True


def _attributes(wanted: Unfinished) -> TypedSearchAttributes:
    pairs = [
        SearchAttributePair(NOTIFICATION_TYPE, str(wanted.type)),
        SearchAttributePair(DEFINITION, wanted.definition),
    ]
    if wanted.recipient_ref:
        pairs.append(SearchAttributePair(RECIPIENT_REF, wanted.recipient_ref))
    return TypedSearchAttributes(pairs)
