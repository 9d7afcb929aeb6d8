"""One event for one recipient: plan, wait, send, wait for an operator where a delivery is stuck, report."""

from dataclasses import dataclass

from temporalio import workflow


@dataclass(frozen=True)
class NotificationInput:
    """Ids only: what the event says stays in Postgres."""

    notification_id: str


@workflow.defn
class NotificationWorkflow:
    @workflow.run
    async def run(self, notification: NotificationInput) -> str:
        raise NotImplementedError
