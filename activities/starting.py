"""How a workflow is started, whoever does it: the bridge, the API, or reconciliation."""

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

from activities.temporal import (
    CAMPAIGN_ID,
    DEFINITION,
    NOTIFICATION_TYPE,
    ORCHESTRATOR_BULK,
    RECIPIENT_REF,
    campaign_resend_workflow_id,
    campaign_workflow_id,
    import_workflow_id,
    notification_workflow_id,
    orchestrator_queue,
    priority_key,
    resend_workflow_id,
)
from notifications.pending import PendingStart
from notifications.statuses import NotificationType

NOTIFICATION_WORKFLOW = "NotificationWorkflow"  # by name: workflows are above this package
RESEND_WORKFLOW = "ResendWorkflow"
IMPORT_WORKFLOW = "ImportWorkflow"
CAMPAIGN_WORKFLOW = "CampaignWorkflow"
CAMPAIGN_RESEND_WORKFLOW = "CampaignResendWorkflow"
_RPC_TIMEOUT = timedelta(seconds=10)
_MAX_SUMMARY = 200  # characters; Temporal takes 400 bytes


async def start_notification(client: Client, wanted: PendingStart, *, public_url: str, again: bool = False) -> str:
    """Start its workflow and return the run's id; one that runs counts as started.

    `again`: only in place of one that was terminated, failed, timed out or is gone.

    Raises:
        WorkflowAlreadyStartedError: it ended; with `again`: it runs, or has completed.
        RPCError: Temporal's fault or ours, whatever its code; try again.

    """
    attributes = [
        SearchAttributePair(NOTIFICATION_TYPE, str(wanted.type)),
        SearchAttributePair(DEFINITION, wanted.definition),
    ]
    if wanted.recipient_ref:
        attributes.append(SearchAttributePair(RECIPIENT_REF, wanted.recipient_ref))
    reuse, conflict = _policies(again=again)
    handle = await client.start_workflow(
        NOTIFICATION_WORKFLOW,
        {"notification_id": str(wanted.id)},
        id=notification_workflow_id(wanted.id),
        task_queue=orchestrator_queue(wanted.type),
        id_reuse_policy=reuse,
        id_conflict_policy=conflict,
        priority=Priority(priority_key=priority_key(wanted.type)),
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=_summary(wanted, again=again),
        static_details=f"[The notification in the API]({public_url.rstrip('/')}/v1/notifications/{wanted.id})",
        rpc_timeout=_RPC_TIMEOUT,
    )
    return handle.first_execution_run_id or ""


async def start_resend(
    client: Client,
    notification_id: UUID,
    notification_type: NotificationType,
    *,
    seq: int,
    round_number: int,
    again: bool = False,
    rpc_timeout: timedelta = _RPC_TIMEOUT,
) -> str:
    """Start the workflow that sends an `unknown` message once more; arguments and errors as above."""
    reuse, conflict = _policies(again=again)
    handle = await client.start_workflow(
        RESEND_WORKFLOW,
        {"notification_id": str(notification_id), "seq": seq, "round": round_number},
        id=resend_workflow_id(notification_id, seq, round_number),
        task_queue=orchestrator_queue(notification_type),
        id_reuse_policy=reuse,
        id_conflict_policy=conflict,
        priority=Priority(priority_key=priority_key(notification_type)),
        search_attributes=TypedSearchAttributes([SearchAttributePair(NOTIFICATION_TYPE, notification_type.value)]),
        static_summary=f"message {seq} once more, a duplicate accepted",
        rpc_timeout=rpc_timeout,
    )
    return handle.first_execution_run_id or ""


async def start_import(
    client: Client, import_id: UUID, *, again: bool = False, rpc_timeout: timedelta = _RPC_TIMEOUT
) -> None:
    """Start the workflow that writes an import's rows; arguments and errors as above."""
    reuse, conflict = _policies(again=again)
    await client.start_workflow(
        IMPORT_WORKFLOW,
        {"import_id": str(import_id)},
        id=import_workflow_id(import_id),
        task_queue=ORCHESTRATOR_BULK,
        id_reuse_policy=reuse,
        id_conflict_policy=conflict,
        priority=Priority(priority_key=priority_key(NotificationType.PROMOTIONAL)),
        static_summary="import of recipients",
        rpc_timeout=rpc_timeout,
    )


async def start_campaign(
    client: Client,
    campaign_id: UUID,
    round_number: int,
    *,
    name: str,
    again: bool = False,
    rpc_timeout: timedelta = _RPC_TIMEOUT,
) -> str:
    """Start the workflow of a round of a campaign; arguments and errors as above."""
    reuse, conflict = _policies(again=again)
    handle = await client.start_workflow(
        CAMPAIGN_WORKFLOW,
        {"campaign_id": str(campaign_id), "round": round_number},
        id=campaign_workflow_id(campaign_id, round_number),
        task_queue=ORCHESTRATOR_BULK,
        id_reuse_policy=reuse,
        id_conflict_policy=conflict,
        priority=Priority(priority_key=priority_key(NotificationType.PROMOTIONAL)),
        search_attributes=TypedSearchAttributes([SearchAttributePair(CAMPAIGN_ID, str(campaign_id))]),
        static_summary=f"campaign {name[:_MAX_SUMMARY]}, round {round_number}",
        rpc_timeout=rpc_timeout,
    )
    return handle.first_execution_run_id or ""


async def start_campaign_resend(
    client: Client,
    campaign_id: UUID,
    *,
    seq: int,
    round_number: int,
    again: bool = False,
    rpc_timeout: timedelta = _RPC_TIMEOUT,
) -> str:
    """Start the workflow that sends an `unknown` message of a campaign once more; arguments and errors as above."""
    reuse, conflict = _policies(again=again)
    handle = await client.start_workflow(
        CAMPAIGN_RESEND_WORKFLOW,
        {"campaign_id": str(campaign_id), "seq": seq, "round": round_number},
        id=campaign_resend_workflow_id(campaign_id, seq, round_number),
        task_queue=ORCHESTRATOR_BULK,
        id_reuse_policy=reuse,
        id_conflict_policy=conflict,
        priority=Priority(priority_key=priority_key(NotificationType.PROMOTIONAL)),
        search_attributes=TypedSearchAttributes([SearchAttributePair(CAMPAIGN_ID, str(campaign_id))]),
        static_summary=f"message {seq} of a campaign once more, a duplicate accepted",
        rpc_timeout=rpc_timeout,
    )
    return handle.first_execution_run_id or ""


def _policies(*, again: bool) -> tuple[WorkflowIDReusePolicy, WorkflowIDConflictPolicy]:
    if again:
        return WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY, WorkflowIDConflictPolicy.FAIL
    return WorkflowIDReusePolicy.REJECT_DUPLICATE, WorkflowIDConflictPolicy.USE_EXISTING


def _summary(wanted: PendingStart, *, again: bool) -> str:
    who = f"for recipient {wanted.recipient_ref[:8]}…" if wanted.recipient_ref else "without a recipient"
    return f"{wanted.definition[:_MAX_SUMMARY]} {who}{', started again by reconciliation' if again else ''}"
