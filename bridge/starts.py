"""Start one workflow per notification, exactly one however often it is asked for; and wake those that are cancelled."""

import asyncio
import contextlib
import time
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.starting import start_campaign, start_notification
from activities.temporal import campaign_workflow_id, notification_workflow_id
from bridge.metrics import CANCEL_SIGNALS, STARTS
from notifications.campaigns.events import TouchedCampaign
from notifications.pending import PendingStart
from notifications.statuses import NotificationType
from workflows.campaign import CampaignWorkflow
from workflows.notification import NotificationWorkflow

_CONCURRENT = 50  # of each type: a flood of one takes no other's turn
_LONGEST_BREAK = 1.0  # seconds; a start that took longer waited for a server that was away
_RPC_TIMEOUT = timedelta(seconds=10)


class Starter:
    """Bounded calls to Temporal. `public_url` is where the API is reached from outside.

    Promotional workflows start one at a time, with a break after each that is as long as it took, up to `longest_break`
    seconds: a flood of them takes half a place of a busy server, and urgent requests do not queue behind it there.
    """

    def __init__(self, client: Client, *, public_url: str, longest_break: float = _LONGEST_BREAK) -> None:
        self._client = client
        self._public_url = public_url
        self._longest_break = longest_break
        self._slots = {kind: asyncio.Semaphore(_CONCURRENT) for kind in NotificationType}
        self._slots[NotificationType.PROMOTIONAL] = asyncio.Semaphore(1)
        self._wake_slots = asyncio.Semaphore(_CONCURRENT)

    async def start(self, pending: PendingStart) -> None:
        """Return once Temporal knows the workflow, from this call or an earlier one.

        Raises:
            RPCError: Temporal's fault or ours, whatever its code; try again.

        """
        async with self._slots[pending.type]:
            begun = time.monotonic()
            try:
                await start_notification(self._client, pending, public_url=self._public_url)
            except WorkflowAlreadyStartedError:
                STARTS.labels(pending.type, "already_ended").inc()
            except Exception:
                STARTS.labels(pending.type, "error").inc()
                raise
            else:
                STARTS.labels(pending.type, "ok").inc()
            if pending.type is NotificationType.PROMOTIONAL:
                await asyncio.sleep(min(time.monotonic() - begun, self._longest_break))

    async def wake_cancelled(self, notification_id: UUID) -> None:
        """Signal `cancel`; a workflow that has ended or was never started needs none.

        Raises:
            RPCError: try again.

        """
        async with self._wake_slots:
            handle = self._client.get_workflow_handle(notification_workflow_id(notification_id))
            try:
                await handle.signal(NotificationWorkflow.cancel, rpc_timeout=_RPC_TIMEOUT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
            CANCEL_SIGNALS.inc()

    async def tell_campaign(self, touched: TouchedCampaign) -> None:
        """Return once Temporal knows its workflow; one that has ended is only told to look again.

        Raises:
            RPCError: try again.

        """
        async with self._wake_slots:
            if not touched.ended:
                with contextlib.suppress(WorkflowAlreadyStartedError):
                    await start_campaign(self._client, touched.id, touched.round, name=touched.name)
                return
            handle = self._client.get_workflow_handle(campaign_workflow_id(touched.id, touched.round))
            try:
                await handle.signal(CampaignWorkflow.look_again, rpc_timeout=_RPC_TIMEOUT)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
