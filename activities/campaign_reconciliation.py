"""Start the workflows of campaigns that should be running and are not, wake those that were not told. Never sends."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities import metrics
from activities.infrastructure import infrastructure
from activities.reconciliation import Repairs
from activities.starting import start_campaign
from activities.temporal import DELIVERY_STATUS, campaign_workflow_id
from notifications.campaigns.lifecycle import PREPARE_AHEAD
from notifications.queries.campaign_suspects import LEFT_ALONE, CampaignSuspects, Suspect
from notifications.statuses import CampaignState

_PAGE = 200
_CONCURRENT = 20
_RPC_TIMEOUT = timedelta(seconds=10)
_ENDED, _UNTOLD = "campaign", "campaign_untold"  # what was wrong

log = structlog.get_logger()


class CampaignReconciliation:
    """`page` is how many campaigns are read at once."""

    def __init__(self, suspects: CampaignSuspects, client: Client, *, page: int = _PAGE) -> None:
        self._suspects = suspects
        self._client = client
        self._page = page
        self._slots = asyncio.Semaphore(_CONCURRENT)
        metrics.UNMENDED.labels(_ENDED)  # from 0 on, so that the first one is seen as an increase

    @activity.defn
    async def reconcile_campaigns(self) -> Repairs:
        """Campaigns whose workflow never started or was ended from outside, and commands that it never heard of.

        The campaign's row decides: to terminate its workflow does not give a campaign up.
        """
        checked, mended, after = 0, Counter({_ENDED: 0, _UNTOLD: 0}), UUID(int=0)
        while True:
            async with infrastructure():
                found = await self._suspects.after(after, self._page)
            answers = await asyncio.gather(*(self._mend(each) for each in found))
            mended.update(answer for answer in answers if answer is not None)
            checked += len(found)
            activity.heartbeat(checked)
            if len(found) < self._page:
                return Repairs(checked, dict(mended))
            after = found[-1].id

    async def _mend(self, campaign: Suspect) -> str | None:
        """What was wrong with it; None: nothing that could be mended."""
        async with self._slots:
            found = await self._describe(campaign)
            if found is None or found.status not in {
                WorkflowExecutionStatus.RUNNING,
                WorkflowExecutionStatus.COMPLETED,
            }:
                return await self._start(campaign)
            if found.status is WorkflowExecutionStatus.RUNNING:
                return await self._wake(campaign) if _was_not_told(campaign, found) else None
        if not campaign.state.is_final:  # a ledger that was set back, or a fault of ours: some of it may have been sent
            metrics.UNMENDED.labels(_ENDED).inc()
            log.error("reconciliation.unmended", kind=_ENDED, campaign_id=str(campaign.id), state=str(campaign.state))
        return None

    async def _describe(self, campaign: Suspect) -> WorkflowExecutionDescription | None:
        """None: Temporal knows no workflow of this round."""
        handle = self._client.get_workflow_handle(campaign_workflow_id(campaign.id, campaign.round))
        try:
            return await handle.describe(rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None

    async def _start(self, campaign: Suspect) -> str | None:
        try:
            run = await start_campaign(self._client, campaign.id, campaign.round, name=campaign.name, again=True)
        except WorkflowAlreadyStartedError:
            return None  # somebody was faster
        metrics.REPAIRS.labels(_ENDED).inc()
        log.warning("reconciliation.started", kind=_ENDED, campaign_id=str(campaign.id), run_id=run)
        return _ENDED

    async def _wake(self, campaign: Suspect) -> str | None:
        handle = self._client.get_workflow_handle(campaign_workflow_id(campaign.id, campaign.round))
        try:
            await handle.signal("look_again", rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return None  # it has just ended
        metrics.REPAIRS.labels(_UNTOLD).inc()
        log.warning("reconciliation.woken", kind=_UNTOLD, campaign_id=str(campaign.id), state=str(campaign.state))
        return _UNTOLD


def _was_not_told(campaign: Suspect, found: WorkflowExecutionDescription) -> bool:
    """Whether it waits for a time that is not the campaign's any more: all other waits end within half a minute."""
    if campaign.state.is_final:
        return found.typed_search_attributes.get(DELIVERY_STATUS) != campaign.state
    if campaign.state is not CampaignState.SCHEDULED or campaign.starts_at is None:
        return False
    return campaign.starts_at - PREPARE_AHEAD < datetime.now(UTC) - LEFT_ALONE
