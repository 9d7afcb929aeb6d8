"""Reconciliation and resets by hand, and notifications that look as if time had passed."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from activities.temporal import ORCHESTRATOR
from notifications.database import execute, transaction
from tests.support.integration import House
from workflows.reconciliation import ReconciliationResult, ReconciliationWorkflow

OTP: dict[str, Any] = {"type": "auth.otp", "data": {"code": "482915"}}


async def reconcile(house: House) -> ReconciliationResult:
    async with asyncio.timeout(45):
        return await house.client.execute_workflow(
            ReconciliationWorkflow.run, id=f"reconciliation-{uuid4()}", task_queue=ORCHESTRATOR
        )


async def age(house: House, notification: UUID, **columns: timedelta) -> None:
    """Set columns of the notification to that long ago."""
    sets = ", ".join(f"{name} = now() - CAST(:{name} AS interval)" for name in columns)
    async with transaction(house.sessions) as session:
        await execute(session, f"UPDATE notifications SET {sets} WHERE id = :id", {"id": notification, **columns})


async def reset_workflow(house: House, notification: UUID, *, task: int = 1) -> None:
    """Back to the nth workflow task, as from the UI."""
    handle = house.handle(notification)
    history = await handle.fetch_history()
    tasks = [each.event_id for each in history.events if each.HasField("workflow_task_completed_event_attributes")]
    await house.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=house.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            workflow_task_finish_event_id=tasks[task - 1],
            reason="a test",
            request_id=f"reset-{notification}",
        )
    )
