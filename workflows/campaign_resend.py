"""Send one `unknown` message of a campaign once more, on an operator's word that a duplicate is acceptable."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.campaign_resends import CampaignMessage, CampaignResendActivities
    from activities.sending import SendingActivities, SendRequest, SendResult
    from activities.temporal import bulk_queue
    from notifications.campaigns.resends import ResendState
    from workflows.ledger_calls import ask
    from workflows.retries import LOOK_AGAIN, SEND_RETRIES, SEND_START_TO_CLOSE


@dataclass(frozen=True)
class CampaignResendInput:
    """`round` is the one that was raised in the ledger; it makes this workflow's id unique."""

    campaign_id: str
    seq: int
    round: int


@workflow.defn
class CampaignResendWorkflow:
    """The same as `ResendWorkflow` for a message that has no notification."""

    @workflow.run
    async def run(self, resend: CampaignResendInput) -> str:
        message = CampaignMessage(UUID(resend.campaign_id), resend.seq)
        state = await ask(CampaignResendActivities.look_at_resend, message, summary="look at the ledger")
        sending = asyncio.create_task(self._send(resend, state))
        try:
            result = await asyncio.shield(sending)
        except asyncio.CancelledError:
            # From the UI: what has not begun is cancelled, a begun call is seen to its end.
            await ask(CampaignResendActivities.cancel_resend, message, summary="cancel")
            result = await sending
        if result is not None and not result.status.is_open:
            return str(result.status)
        return await self._settle(message, resend.round)

    async def _send(self, resend: CampaignResendInput, state: ResendState) -> SendResult | None:
        """None: it ended without an answer, the ledger knows."""
        try:
            return await workflow.execute_activity_method(
                SendingActivities.send,
                # Nobody waits here for an operator: what would become stuck ends as failed.
                SendRequest(UUID(resend.campaign_id), resend.seq, state.channel, resend.round, stick=False),
                task_queue=bulk_queue(state.channel),
                start_to_close_timeout=SEND_START_TO_CLOSE,
                schedule_to_close_timeout=max(state.expires_at - workflow.now(), timedelta(seconds=1)),
                retry_policy=SEND_RETRIES[state.type],
                summary=f"{state.channel}: message {resend.seq} again, round {resend.round}",
            )
        except ActivityError:
            return None

    async def _settle(self, message: CampaignMessage, round_number: int) -> str:
        """Temporal gave the send up, or another round has it: nobody else would end the message when it expires."""
        while True:
            state: ResendState = await ask(CampaignResendActivities.expire_resend, message, summary="expire it if due")
            if not state.status.is_open or state.round != round_number:
                return str(state.status)
            await workflow.sleep(max(state.expires_at - workflow.now(), LOOK_AGAIN))
