"""Send one `unknown` message once more, on an operator's word that a duplicate is acceptable."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanningActivities
    from activities.sending import SendingActivities, SendRequest, SendResult
    from activities.temporal import channel_queue
    from notifications.statuses import NotificationType
    from workflows.ledger_calls import ask
    from workflows.retries import SEND_RETRIES, SEND_START_TO_CLOSE


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
        message = next(message for message in state.messages if message.seq == resend.seq)
        kind = NotificationType(state.type)
        try:
            result: SendResult = await workflow.execute_activity_method(
                SendingActivities.send,
                # Nobody waits here for an operator: what would become stuck ends as failed.
                SendRequest(notification_id, resend.seq, message.channel, resend.round, stick=False),
                task_queue=channel_queue(message.channel, kind),
                start_to_close_timeout=SEND_START_TO_CLOSE,
                schedule_to_close_timeout=max(state.expires_at - workflow.now(), timedelta(seconds=1)),
                retry_policy=SEND_RETRIES[kind],
                summary=f"{message.channel}: message {resend.seq} again, round {resend.round}",
            )
        except ActivityError:
            state = await ask(PlanningActivities.expire, notification_id, summary="expire what is due")
            return next(str(message.status) for message in state.messages if message.seq == resend.seq)
        return str(result.status)
