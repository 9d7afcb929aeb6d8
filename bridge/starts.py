"""Start one workflow per notification, exactly one however often it is asked for; and wake those that are cancelled."""

import asyncio
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal import (
    DEFINITION,
    NOTIFICATION_TYPE,
    RECIPIENT_REF,
    notification_workflow_id,
    orchestrator_queue,
    priority_key,
)
from bridge.metrics import CANCEL_SIGNALS, STARTS
from notifications.queries.intake import PendingStart
from workflows.notification import NotificationInput, NotificationWorkflow

_CONCURRENT = 50
_RPC_TIMEOUT = timedelta(seconds=10)
_MAX_SUMMARY = 200  # characters; Temporal takes 400 bytes


class Starter:
    """Bounded calls to Temporal. `public_url` is where the API is reached from outside."""

    def __init__(self, client: Client, *, public_url: str) -> None:
        self._client = client
        self._public_url = public_url.rstrip("/")
        self._slots = asyncio.Semaphore(_CONCURRENT)

    async def start(self, pending: PendingStart) -> None:
        """Return once Temporal knows the workflow, from this call or an earlier one.

        Raises:
            RPCError: Temporal's fault or ours, whatever its code; try again.

        """
        async with self._slots:
            try:
                await self._start(pending)
            except WorkflowAlreadyStartedError:
                STARTS.labels(pending.type, "already_ended").inc()
            except Exception:
                STARTS.labels(pending.type, "error").inc()
                raise
            else:
                STARTS.labels(pending.type, "ok").inc()

    async def wake_cancelled(self, notification_id: UUID) -> None:
        """Signal `cancel`; a workflow that has ended or was never started needs none.

        Raises:
            RPCError: try again.

        """
        async with self._slots:
            handle = self._client.get_workflow_handle(notification_workflow_id(notification_id))
            try:
                await handle.signal(NotificationWorkflow.cancel, rpc_timeout=_RPC_TIMEOUT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            CANCEL_SIGNALS.inc()

    async def _start(self, pending: PendingStart) -> None:
        attributes = [
            SearchAttributePair(NOTIFICATION_TYPE, str(pending.type)),
            SearchAttributePair(DEFINITION, pending.definition),
        ]
        if pending.recipient_ref:
            attributes.append(SearchAttributePair(RECIPIENT_REF, pending.recipient_ref))
        await self._client.start_workflow(
            NotificationWorkflow.run,
            NotificationInput(str(pending.id)),
            id=notification_workflow_id(pending.id),
            task_queue=orchestrator_queue(pending.type),
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            priority=Priority(priority_key=priority_key(pending.type)),
            search_attributes=TypedSearchAttributes(attributes),
            static_summary=_summary(pending),
            static_details=f"[The notification in the API]({self._public_url}/v1/notifications/{pending.id})",
            rpc_timeout=_RPC_TIMEOUT,
        )


def _summary(pending: PendingStart) -> str:
    who = f"for recipient {pending.recipient_ref[:8]}…" if pending.recipient_ref else "without a recipient"
    return f"{pending.definition[:_MAX_SUMMARY]} {who}"
