"""What the workflow that sends a campaign's message once more asks of the ledger; and those that it has to be for."""

from dataclasses import dataclass
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

from activities import metrics
from activities.infrastructure import infrastructure
from activities.reconciliation import Repairs
from activities.starting import start_campaign_resend
from notifications.campaigns.resends import NotedResend, Resends, ResendState, UnknownMessageError

_AT_ONCE = 100  # campaigns that one run of reconciliation looks at
_KIND = "campaign_resend"

log = structlog.get_logger()


@dataclass(frozen=True)
class CampaignMessage:
    campaign_id: UUID
    seq: int


class CampaignResendActivities:
    def __init__(self, resends: Resends, client: Client) -> None:
        self._resends = resends
        self._client = client

    @activity.defn
    async def look_at_resend(self, message: CampaignMessage) -> ResendState:
        """Raise ApplicationError, not to be tried again, where the message is gone."""
        async with infrastructure():
            try:
                return await self._resends.look(message.campaign_id, message.seq)
            except UnknownMessageError as error:
                raise ApplicationError(str(error), type="UnknownMessage", non_retryable=True) from None

    @activity.defn
    async def expire_resend(self, message: CampaignMessage) -> ResendState:
        async with infrastructure():
            await self._resends.expire(message.campaign_id, message.seq)
        return await self.look_at_resend(message)

    @activity.defn
    async def cancel_resend(self, message: CampaignMessage) -> None:
        async with infrastructure():
            await self._resends.cancel(message.campaign_id, message.seq)

    @activity.defn
    async def reconcile_campaign_resends(self) -> Repairs:
        """Messages of campaigns that were freed to be sent once more, and whose workflow never started or was ended."""
        async with infrastructure():
            found = await self._resends.noted(_AT_ONCE)
        started = 0
        for each in found:
            started += await self._mend(each)
        return Repairs(len(found), {_KIND: started})

    async def _mend(self, wanted: NotedResend) -> bool:
        if wanted.seq is None or wanted.round is None:
            async with infrastructure():
                await self._resends.forget(wanted)
            return False
        try:
            run = await start_campaign_resend(
                self._client, wanted.campaign_id, seq=wanted.seq, round_number=wanted.round, again=True
            )
        except WorkflowAlreadyStartedError:
            async with infrastructure():
                await self._resends.expire(wanted.campaign_id, wanted.seq)  # else nobody would, where it has completed
            return False
        metrics.REPAIRS.labels(_KIND).inc()
        log.warning(
            "reconciliation.started", kind=_KIND, campaign_id=str(wanted.campaign_id), seq=wanted.seq, run_id=run
        )
        return True
