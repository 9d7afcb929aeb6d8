"""Send one `unknown` message once more, on an operator's word that a duplicate is acceptable."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanningActivities
    from activities.sending import SendingActivities, SendRequest, SendResult
    from activities.temporal import channel_queue
    from notifications.plans import MessageState, NotificationState
    from notifications.statuses import NotificationType
    from workflows.ledger_calls import ask
    from workflows.retries import LOOK_AGAIN, SEND_RETRIES, SEND_START_TO_CLOSE


@dataclass(frozen=True)
class ResendInput:
    """`round` is the one that the API raised in the ledger; it makes this workflow's id unique."""

    notification_id: str
    seq: int
    round: int


@workflow.defn
class ResendWorkflow:
    @workflow.run
    async def run(self, resend: ResendInput) -> str:
        notification_id = UUID(resend.notification_id)
        state = await ask(PlanningActivities.look, notification_id, summary="look at the ledger")
        sending = asyncio.create_task(self._send(resend, state))
        try:
            result = await asyncio.shield(sending)
        except asyncio.CancelledError:
            # From the UI: what has not begun is cancelled, a begun call is seen to its end.
            await ask(PlanningActivities.withdraw, notification_id, summary="cancel")
            result = await sending
        if result is not None and not result.status.is_open:
            return str(result.status)
        return await self._settle(notification_id, resend)

    async def _send(self, resend: ResendInput, state: NotificationState) -> SendResult | None:
        """None: it ended without an answer, the ledger knows."""
        kind = NotificationType(state.type)
        channel = _message(state, resend.seq).channel
        try:
            return await workflow.execute_activity_method(
                SendingActivities.send,
                # Nobody waits here for an operator: what would become stuck ends as failed.
                SendRequest(UUID(resend.notification_id), resend.seq, channel, resend.round, stick=False),
                task_queue=channel_queue(channel, kind),
                start_to_close_timeout=SEND_START_TO_CLOSE,
                schedule_to_close_timeout=max(state.expires_at - workflow.now(), timedelta(seconds=1)),
                retry_policy=SEND_RETRIES[kind],
                summary=f"{channel}: message {resend.seq} again, round {resend.round}",
            )
        except ActivityError:
            return None

    async def _settle(self, notification_id: UUID, resend: ResendInput) -> str:
        """Temporal gave the send up, or another round has it: nobody else would end the message when it expires."""
        while True:
            state = await ask(PlanningActivities.expire, notification_id, summary="expire what is due")
            message = _message(state, resend.seq)
            if not message.status.is_open or message.round != resend.round:
                return str(message.status)
            await workflow.sleep(max(state.expires_at - workflow.now(), LOOK_AGAIN))


def _message(state: NotificationState, seq: int) -> MessageState:
    return next(message for message in state.messages if message.seq == seq)
