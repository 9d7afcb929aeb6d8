"""Start workflows that should be running and are not. Never sends: the ledger decides what a started one may do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities import metrics
from activities.infrastructure import infrastructure
from activities.starting import NOTIFICATION_WORKFLOW, start_notification, start_resend
from activities.temporal import notification_workflow_id
from notifications.ledger import Ledger
from notifications.pending import PendingStart
from notifications.progress import Progress
from notifications.queries.reconciliation import ReconciliationStore, Resend

_CONCURRENT = 20
_PAGE = 500
_COUNT_UP_TO = 10_000  # outcomes
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
    """What was mended, by what was wrong; `checked` were looked at."""

    checked: int = 0
    started: dict[str, int] = field(default_factory=dict)


class ReconciliationActivities:
    """`public_url` is where the API is reached from outside."""

    def __init__(
        self, store: ReconciliationStore, client: Client, *, ledger: Ledger, progress: Progress, public_url: str
    ) -> None:
        self._store = store
        self._client = client
        self._ledger = ledger
        self._progress = progress
        self._public_url = public_url
        self._slots = asyncio.Semaphore(_CONCURRENT)
        for kind in ("completed", "unpublished"):
            metrics.UNMENDED.labels(kind)  # from 0 on, so that the first one is seen as an increase

    @activity.defn
    async def reconcile_never_started(self) -> Repairs:
        """Notifications that are stored and whose start was never acknowledged."""
        return await self._pages("never_started", self._store.never_started)

    @activity.defn
    async def reconcile_overdue(self) -> Repairs:
        """Notifications whose workflow should have acted 10 min ago; stuck ones past their expiry are among them."""
        return await self._pages("overdue", self._store.overdue)

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

    @activity.defn
    async def reconcile_resends(self) -> Repairs:
        """Messages that were freed to be sent once more, and whose workflow never started or was ended."""
        checked = started = 0
        for _ in range(_MAX_PAGES):
            async with infrastructure():
                found = await self._store.resends(_PAGE)
            answers = await asyncio.gather(*(self._resend(each) for each in found))
            async with infrastructure():
                await self._store.mark_resends(found)
            checked, started = checked + len(found), started + sum(answers)
            activity.heartbeat(checked)
            if len({each.id for each in found}) < _PAGE:
                break
        return Repairs(checked, {"resend": started})

    @activity.defn
    async def reconcile_outbox(self) -> Repairs:
        """Outcomes that nobody published for 10 min: a bridge that publishes none is made to let another take over.

        Nothing else is wrong with a row that waits: every bridge publishes what it finds, as soon as it may and the
        broker takes it.
        """
        async with infrastructure():
            found = await self._store.unpublished(_COUNT_UP_TO)
            cut = bool(found.waiting) and not found.moving and await self._store.cut_publisher()
        if found.waiting:
            metrics.UNMENDED.labels("unpublished").inc()
            log.error("reconciliation.unmended", kind="unpublished", waiting=found.waiting, oldest=str(found.oldest))
        return Repairs(found.waiting, {"publisher_cut": int(cut)})

    async def _ended(self, ids: Sequence[UUID]) -> int:
        if not ids:
            return 0
        async with infrastructure():
            found = await self._store.unfinished(ids)
        return (await self._start_all(found, "ended"))["ended"]

    async def _pages(self, kind: str, find: Callable[[int], Awaitable[list[PendingStart]]]) -> Repairs:
        checked, mended = 0, {kind: 0}
        for _ in range(_MAX_PAGES):
            async with infrastructure():
                found = await find(_PAGE)
            checked += len(found)
            for name, count in (await self._start_all(found, kind)).items():
                mended[name] = mended.get(name, 0) + count
            activity.heartbeat(checked)
            if len(found) < _PAGE:
                break
        return Repairs(checked, mended)

    async def _start_all(self, found: Sequence[PendingStart], kind: str) -> dict[str, int]:
        """Start each, then note that it runs; dying in between starts nothing twice, since the id is taken."""
        answers = await asyncio.gather(*(self._start(each, kind) for each in found))
        completed = [each.id for each, answer in zip(found, answers, strict=True) if answer == "completed"]
        mended = {kind: answers.count("started")}
        if completed:
            mended["completed"] = await self._settle(completed)
        if found:
            async with infrastructure():
                await self._store.mark_seen([each.id for each in found])
        return mended

    async def _start(self, wanted: PendingStart, kind: str) -> str:
        """`started` now; else `completed` or `running`. Most run, and to look costs Temporal less than to try."""
        async with self._slots:
            status = await self._status(wanted.id)
            if status is WorkflowExecutionStatus.COMPLETED:
                return "completed"
            if status is WorkflowExecutionStatus.RUNNING:
                return "running"
            try:
                run = await start_notification(self._client, wanted, public_url=self._public_url, again=True)
            except WorkflowAlreadyStartedError:
                return "running"  # somebody was faster
        metrics.REPAIRS.labels(kind).inc()
        log.warning("reconciliation.started", kind=kind, notification_id=str(wanted.id), run_id=run)
        return "started"

    async def _status(self, notification_id: UUID) -> WorkflowExecutionStatus | None:
        """None: Temporal knows no workflow of it."""
        handle = self._client.get_workflow_handle(notification_workflow_id(notification_id))
        try:
            return (await handle.describe(rpc_timeout=_RPC_TIMEOUT)).status
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None

    async def _settle(self, ids: Sequence[UUID]) -> int:
        """Workflows that have completed, while the ledger says that their notification has not ended.

        Such a ledger was set back, or it is a fault of ours. What it calls open may have been sent: nothing is started.
        What is past its time ends, and where nothing is open the outcome is recorded; the rest is for somebody to look
        at.
        """
        settled = 0
        async with infrastructure():
            left = [each.id for each in await self._store.unfinished(ids)]  # without those that ended this moment
        for notification_id in left:
            async with infrastructure():
                await self._ledger.expire(notification_id)
                status = await self._progress.finish(notification_id)
            if status.is_final:
                settled += 1
                metrics.REPAIRS.labels("completed").inc()
                log.warning("reconciliation.settled", notification_id=str(notification_id), status=str(status))
            else:
                metrics.UNMENDED.labels("completed").inc()
                log.error("reconciliation.unmended", kind="completed", notification_id=str(notification_id))
        return settled

    async def _resend(self, wanted: Resend) -> bool:
        """Whether it was started now; one that runs, or has completed, is left alone."""
        if wanted.seq is None or wanted.round is None:
            return False
        async with self._slots:
            try:
                run = await start_resend(
                    self._client, wanted.id, wanted.type, seq=wanted.seq, round_number=wanted.round, again=True
                )
            except WorkflowAlreadyStartedError:
                async with infrastructure():
                    await self._ledger.expire(wanted.id)  # else nobody would, where it has completed
                return False
        metrics.REPAIRS.labels("resend").inc()
        log.warning("reconciliation.started", kind="resend", notification_id=str(wanted.id), seq=wanted.seq, run_id=run)
        return True
