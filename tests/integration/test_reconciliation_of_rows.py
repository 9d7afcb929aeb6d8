"""Reconciliation where the ledger says more than Temporal: expired, completed, freed to be sent once more."""

from datetime import timedelta
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.service import RPCError, RPCStatusCode

from activities.temporal import resend_workflow_id
from notifications.database import execute, transaction
from notifications.providers.base import ErrorScope, PermanentDeliveryError
from notifications.statuses import Channel
from tests.support.integration import House, until
from tests.support.reconciling import OTP, age, reconcile, reset_workflow

MINUTES = timedelta(minutes=1)


def counted(name: str, kind: str) -> float:
    return REGISTRY.get_sample_value(f"tidings_reconciliation_{name}_total", {"kind": kind}) or 0.0


async def change(house: House, statement: str, notification: UUID) -> None:
    async with transaction(house.sessions) as session:
        await execute(session, statement, {"id": notification})


async def forget(house: House, notification: UUID) -> None:
    """Delete its workflow, as if Temporal had lost it."""
    handle = house.handle(notification)
    await house.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=house.client.namespace, workflow_execution=WorkflowExecution(workflow_id=handle.id)
        )
    )

    async def is_gone() -> bool:
        try:
            await handle.describe()
        except RPCError as error:
            return error.status is RPCStatusCode.NOT_FOUND
        return False

    await until(is_gone)


async def stuck_one(house: House) -> UUID:
    house.providers[Channel.SMS].script([PermanentDeliveryError("twilio_20003", scope=ErrorScope.CONFIG)])
    notification = await house.send(recipient=await house.recipient(), **OTP)
    await house.until_stuck(notification)
    return notification


async def unknown_one(house: House) -> UUID:
    """A notification that has ended, with a message whose answer was lost."""
    notification = await house.send(recipient=await house.recipient(), **OTP)
    assert await house.result(notification) == "done"
    await change(house, "UPDATE messages SET status = 'unknown' WHERE origin_id = :id", notification)
    return notification


async def test_a_stuck_one_past_its_expiry_without_a_workflow_is_ended(house: House) -> None:
    notification = await stuck_one(house)
    await forget(house, notification)
    await change(
        house, "UPDATE messages SET expires_at = now() - interval '11 min' WHERE origin_id = :id", notification
    )
    await age(house, notification, expires_at=11 * MINUTES, wake_at=11 * MINUTES)
    before = counted("repairs", "overdue")
    with capture_logs() as logs:
        assert (await reconcile(house)).started["overdue"] == 1
    assert counted("repairs", "overdue") == before + 1
    started = [line for line in logs if line["event"] == "reconciliation.started"]
    assert [(line["kind"], line["notification_id"]) for line in started] == [("overdue", str(notification))]
    assert await house.result(notification) == "failed"
    (message,) = await house.messages(notification)
    assert (message.status, message.reason, message.stuck_reason) == ("failed", "twilio_20003", None)
    assert not house.accepted(Channel.SMS, notification)


async def test_one_that_was_started_and_lost_before_it_was_planned_is_found(house: House) -> None:
    notification = await house.intake(recipient=await house.recipient(), **OTP)
    await house.mark_started(notification)
    assert (await house.notification(notification)).wake_at is not None
    await age(house, notification, wake_at=11 * MINUTES)
    assert (await reconcile(house)).started["overdue"] == 1
    assert await house.result(notification) == "done"


async def test_where_a_workflow_completed_and_nothing_is_open_the_outcome_is_recorded(house: House) -> None:
    notification = await house.send(recipient=await house.recipient(), **OTP)
    assert await house.result(notification) == "done"
    await change(house, "UPDATE notifications SET finished_at = NULL, status = 'running' WHERE id = :id", notification)
    await age(house, notification, wake_at=11 * MINUTES)
    before = counted("repairs", "completed")
    result = await reconcile(house)
    assert (result.started["overdue"], result.started["completed"]) == (0, 1)
    assert counted("repairs", "completed") == before + 1
    row = await house.notification(notification)
    assert (row.status, row.finished_at is not None) == ("done", True)
    assert len(house.accepted(Channel.SMS, notification)) == 1


async def test_where_a_workflow_completed_and_a_message_is_open_it_is_told_and_nothing_is_sent(house: House) -> None:
    """A ledger that was set back: what it calls open was sent."""
    notification = await house.send(recipient=await house.recipient(), **OTP)
    assert await house.result(notification) == "done"
    await change(house, "UPDATE messages SET status = 'pending' WHERE origin_id = :id", notification)
    await change(house, "UPDATE notifications SET finished_at = NULL, status = 'running' WHERE id = :id", notification)
    await age(house, notification, wake_at=11 * MINUTES)
    before = counted("unmended", "completed")
    with capture_logs() as logs:
        assert not (await reconcile(house)).started["completed"]
    assert counted("unmended", "completed") == before + 1
    assert [line["notification_id"] for line in logs if line["event"] == "reconciliation.unmended"] == [
        str(notification)
    ]
    assert len(house.accepted(Channel.SMS, notification)) == 1
    await change(house, "UPDATE messages SET expires_at = now() WHERE origin_id = :id", notification)
    await age(house, notification, wake_at=11 * MINUTES)
    assert (await reconcile(house)).started["completed"] == 1, "it ends with its time"
    assert (await house.notification(notification)).finished_at is not None


async def test_a_resend_that_the_api_could_not_start_is_started_once(house: House) -> None:
    notification = await unknown_one(house)
    assert await house.ledger.raise_round_for_duplicate(notification, 1) == 2
    assert not (await reconcile(house)).started["resend"], "it may still be in the API's hands"
    await age(house, notification, resend_at=2 * MINUTES)
    assert (await reconcile(house)).started["resend"] == 1
    handle = house.client.get_workflow_handle(resend_workflow_id(notification, 1, 2))
    assert await handle.result() == "sent"
    assert len(house.accepted(Channel.SMS, notification)) == 2
    await age(house, notification, resend_at=2 * MINUTES)
    assert not (await reconcile(house)).started["resend"]
    assert (await house.notification(notification)).resend_at is None


async def test_a_resend_that_was_terminated_is_started_again(house: House) -> None:
    notification = await unknown_one(house)
    hold = house.providers[Channel.SMS].hold_next()
    assert await house.ledger.raise_round_for_duplicate(notification, 1) == 2
    await age(house, notification, resend_at=2 * MINUTES)
    assert (await reconcile(house)).started["resend"] == 1
    await hold.begun.wait()
    await age(house, notification, resend_at=2 * MINUTES)
    assert not (await reconcile(house)).started["resend"], "it runs"
    handle = house.client.get_workflow_handle(resend_workflow_id(notification, 1, 2))
    await handle.terminate("by mistake")
    await age(house, notification, resend_at=2 * MINUTES)
    assert (await reconcile(house)).started["resend"] == 1
    hold.release.set()
    assert await handle.result() == "sent"


async def test_a_resend_does_not_wait_for_another_message_that_is_stuck(house: House) -> None:
    house.providers[Channel.EMAIL].script([PermanentDeliveryError("smtp_535", scope=ErrorScope.CONFIG)])
    notification = await house.send(recipient=await house.recipient(), type="payment.succeeded")
    await house.until_stuck(notification)
    await until(lambda: is_sent(house, notification, 1))
    await change(house, "UPDATE messages SET status = 'unknown' WHERE origin_id = :id AND seq = 1", notification)
    assert await house.ledger.raise_round_for_duplicate(notification, 1) == 2
    await age(house, notification, resend_at=2 * MINUTES)
    assert (await reconcile(house)).started["resend"] == 1
    assert await house.client.get_workflow_handle(resend_workflow_id(notification, 1, 2)).result() == "sent"
    await age(house, notification, resend_at=2 * MINUTES)
    await reconcile(house)
    row = await house.notification(notification)
    assert (row.status, row.resend_at) == ("stuck", None)
    await house.handle(notification).signal("skip")
    assert await house.result(notification) == "done"


async def is_sent(house: House, notification: UUID, seq: int) -> bool:
    return any(message.seq == seq and message.status == "sent" for message in await house.messages(notification))


async def test_a_round_of_an_operators_retry_is_no_resend(house: House) -> None:
    """The notification has not ended: its own workflow has that round."""
    notification = await stuck_one(house)
    await change(house, "UPDATE messages SET round = 2 WHERE origin_id = :id", notification)
    await age(house, notification, resend_at=2 * MINUTES)
    assert not (await reconcile(house)).started["resend"]
    await house.handle(notification).signal("skip")
    assert await house.result(notification) == "skipped"


async def test_outcomes_that_nobody_publishes_are_told(house: House) -> None:
    notification = await house.send(recipient=await house.recipient(), **OTP)
    assert await house.result(notification) == "done"
    await change(house, "UPDATE outbox SET created_at = now() - interval '11 min' WHERE origin_id = :id", notification)
    before = counted("unmended", "unpublished")
    with capture_logs() as logs:
        assert (await reconcile(house)).started["publisher_cut"] == 0, "no bridge runs here"
    assert counted("unmended", "unpublished") == before + 1
    (line,) = [line for line in logs if line["event"] == "reconciliation.unmended"]
    assert (line["kind"], line["waiting"]) == ("unpublished", 1)
    await change(house, "UPDATE outbox SET published_at = now() WHERE origin_id = :id", notification)
    await reconcile(house)
    assert counted("unmended", "unpublished") == before + 1


async def test_what_ended_long_ago_is_removed_with_its_workflow_none_the_wiser(house: House) -> None:
    old, young = [await house.send(recipient=await house.recipient(), **OTP) for _ in range(2)]
    for notification in (old, young):
        assert await house.result(notification) == "done"
        await change(house, "UPDATE outbox SET published_at = now() WHERE origin_id = :id", notification)
    await age(house, old, received_at=timedelta(days=91), finished_at=timedelta(days=91))
    result = await reconcile(house)
    assert (result.removed["notifications"], result.removed["outbox"], result.places) == (1, 0, {})
    assert (await house.messages(old), await house.attempts(old)) == ([], [])
    assert len(await house.messages(young)) == 1
    assert (await reconcile(house)).removed["notifications"] == 0


@pytest.mark.parametrize("task", [1, 0], ids=["to its beginning", "to its end"])
async def test_a_workflow_that_is_reset_after_its_notification_was_removed_sends_nothing(
    house: House, task: int
) -> None:
    notification = await house.send(recipient=await house.recipient(), **OTP)
    assert await house.result(notification) == "done"
    await change(house, "UPDATE outbox SET published_at = now() WHERE origin_id = :id", notification)
    await age(house, notification, received_at=timedelta(days=91), finished_at=timedelta(days=91))
    assert (await reconcile(house)).removed["notifications"] == 1
    await reset_workflow(house, notification, task=task)
    with pytest.raises(WorkflowFailureError):
        await house.result(notification)
    assert len(house.accepted(Channel.SMS, notification)) == 1
    assert not (await reconcile(house)).started["ended"], "there is nothing that it could go on with"
