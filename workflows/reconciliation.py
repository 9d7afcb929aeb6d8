"""Every few minutes: start what should be running and is not, remove what ended long ago.

Its Schedule is made by a command, never silently.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowExecutionStatus,
)
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError, RPCStatusCode

with workflow.unsafe.imports_passed_through():
    from activities.campaign_reconciliation import CampaignReconciliation
    from activities.campaign_resends import CampaignResendActivities
    from activities.imports import ImportActivities
    from activities.reconciliation import ClosedSince, ReconciliationActivities, Repairs
    from activities.retention import Places, Removed, RetentionActivities
    from activities.temporal import ORCHESTRATOR, RECONCILIATION
    from notifications.retention import Place
    from workflows.retries import OWN_SERVERS_RETRY

EVERY = timedelta(minutes=5)
_OVERLAP = timedelta(minutes=2)  # the list of closed workflows is behind by seconds
_START_TO_CLOSE = timedelta(minutes=10)
_HEARTBEAT = timedelta(minutes=2)
_RETENTION_LIMIT = timedelta(minutes=4)  # it stops by itself before


@dataclass(frozen=True)
class ReconciliationResult:
    """`until` is where the next run begins to look at closed workflows, `places` where it goes on with retention."""

    until: datetime
    checked: int
    started: dict[str, int]
    removed: dict[str, int] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)


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
            await self._ask(ImportActivities.reconcile_imports),
            await self._ask(CampaignReconciliation.reconcile_campaigns),
            await self._ask(CampaignResendActivities.reconcile_campaign_resends),
        ]
        started = {kind: count for part in parts for kind, count in part.started.items()}
        old = await self._remove_old(last.places if last else {})
        return ReconciliationResult(until, sum(part.checked for part in parts), started, old.removed, old.places)

    async def _remove_old(self, places: dict[str, Place]) -> Removed:
        """Last and for a bounded time, so that it never keeps repairs waiting."""
        try:
            return await workflow.execute_activity_method(
                RetentionActivities.remove_old,
                Places(places),
                schedule_to_close_timeout=_RETENTION_LIMIT,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=OWN_SERVERS_RETRY,
            )
        except ActivityError:
            workflow.logger.warning("retention broke off; the next run goes on")
            return Removed({}, places)

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


async def last_reconciliation(client: Client) -> tuple[datetime, ReconciliationResult] | None:
    """When the newest run that has completed began, and what it did; None: there is none yet, or no longer."""
    schedule = await client.get_schedule_handle(RECONCILIATION).describe()
    for found in reversed(schedule.info.recent_actions):
        if not isinstance(found.action, ScheduleActionExecutionStartWorkflow):
            continue
        run = client.get_workflow_handle(
            found.action.workflow_id, run_id=found.action.first_execution_run_id, result_type=ReconciliationResult
        )
        if (await run.describe()).status is WorkflowExecutionStatus.COMPLETED:
            result: ReconciliationResult = await run.result()
            return found.started_at, result
    return None


async def has_reconciliation(client: Client) -> bool:
    try:
        await client.get_schedule_handle(RECONCILIATION).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return True
