"""Every few minutes: start what should be running and is not. Its Schedule is made by a command, never silently."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.service import RPCError, RPCStatusCode

with workflow.unsafe.imports_passed_through():
    from activities.reconciliation import ClosedSince, ReconciliationActivities, Repairs
    from activities.temporal import ORCHESTRATOR, RECONCILIATION
    from workflows.retries import OWN_SERVERS_RETRY

EVERY = timedelta(minutes=5)
_OVERLAP = timedelta(minutes=2)  # the list of closed workflows is behind by seconds
_START_TO_CLOSE = timedelta(minutes=10)
_HEARTBEAT = timedelta(minutes=2)


@dataclass(frozen=True)
class ReconciliationResult:
    """`until` is where the next run begins to look at closed workflows."""

    until: datetime
    checked: int
    started: dict[str, int]


@workflow.defn
class ReconciliationWorkflow:
    @workflow.run
    async def run(self) -> ReconciliationResult:
        until = workflow.now() - _OVERLAP
        last = workflow.get_last_completion_result(ReconciliationResult)
        parts: list[Repairs] = [
            await self._ask(ReconciliationActivities.reconcile_ended, ClosedSince(last.until if last else None)),
            await self._ask(ReconciliationActivities.reconcile_never_started),
            await self._ask(ReconciliationActivities.reconcile_overdue),
            await self._ask(ReconciliationActivities.reconcile_resends),
            await self._ask(ReconciliationActivities.reconcile_outbox),
        ]
        started = {kind: count for part in parts for kind, count in part.started.items()}
        return ReconciliationResult(until, sum(part.checked for part in parts), started)

    async def _ask(self, method: Callable[..., Any], *arguments: object) -> Repairs:
        repairs: Repairs = await workflow.execute_activity_method(
            method,
            args=arguments,
            start_to_close_timeout=_START_TO_CLOSE,
            heartbeat_timeout=_HEARTBEAT,
            retry_policy=OWN_SERVERS_RETRY,
        )
        return repairs


async def create_reconciliation(client: Client, *, every: timedelta = EVERY) -> bool:
    """Create the Schedule; False: it is there already, and stays as it is."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            ReconciliationWorkflow.run, id="reconciliation", task_queue=ORCHESTRATOR, execution_timeout=6 * every
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )
    try:
        await client.create_schedule(RECONCILIATION, schedule)
    except ScheduleAlreadyRunningError:
        return False
    return True


async def has_reconciliation(client: Client) -> bool:
    try:
        await client.get_schedule_handle(RECONCILIATION).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
