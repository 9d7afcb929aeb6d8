"""What should be running and is not is started again, once, and sends nothing twice."""

import contextlib
from datetime import timedelta

from temporalio.client import ScheduleHandle, WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.temporal import RECONCILIATION
from notifications.providers.base import ErrorScope, PermanentDeliveryError
from notifications.statuses import Channel
from tests.support.integration import House, until
from tests.support.reconciling import OTP, age, reconcile
from tidings.findings import check_reconciliation
from workflows.reconciliation import create_reconciliation, last_reconciliation


async def test_one_that_was_never_started_is_started_once(house: House) -> None:
    notification = await house.intake(recipient=await house.recipient(), **OTP)
    assert not (await reconcile(house)).started["never_started"], "it may still be in the bridge's hands"
    await age(house, notification, received_at=timedelta(minutes=2))
    assert (await reconcile(house)).started["never_started"] == 1
    assert await house.result(notification) == "done"
    assert (await house.notification(notification)).started_at is not None
    assert not (await reconcile(house)).started["never_started"]
    assert len(house.accepted(Channel.SMS, notification)) == 1


async def test_one_that_was_terminated_is_started_again_and_sends_nothing_twice(house: House) -> None:
    house.providers[Channel.SMS].script([PermanentDeliveryError("twilio_20003", scope=ErrorScope.CONFIG)])
    notification = await house.send(recipient=await house.recipient(), **OTP)
    await house.until_stuck(notification)
    await house.handle(notification).terminate("by mistake")

    async def is_restarted() -> bool:
        return bool((await reconcile(house)).started["ended"])

    await until(is_restarted)
    await house.until_stuck(notification)
    assert not house.accepted(Channel.SMS, notification), "it waits for its operator as before"

    async def retried() -> bool:
        with contextlib.suppress(RPCError):  # it has ended
            await house.handle(notification).signal("retry")
        return (await house.notification(notification)).finished_at is not None

    await until(retried)
    assert await house.result(notification) == "done"
    assert len(house.accepted(Channel.SMS, notification)) == 1


async def test_one_that_ended_is_left_alone(house: House) -> None:
    notification = await house.send(recipient=await house.recipient(), **OTP)
    assert await house.result(notification) == "done"
    before = (await house.handle(notification).describe()).run_id
    await age(house, notification, received_at=timedelta(hours=1))
    await reconcile(house)
    assert (await house.handle(notification).describe()).run_id == before


async def test_one_that_overslept_is_looked_at_and_only_then_left_for_a_while(house: House) -> None:
    house.providers[Channel.SMS].script([PermanentDeliveryError("twilio_20003", scope=ErrorScope.CONFIG)])
    notification = await house.send(recipient=await house.recipient(), **OTP)
    await house.until_stuck(notification)
    await age(house, notification, wake_at=timedelta(minutes=11))
    result = await reconcile(house)
    assert (result.checked >= 1, result.started["overdue"]) == (True, 0), "its workflow runs"
    row = await house.notification(notification)
    assert row.wake_at is not None
    await house.handle(notification).signal("skip")
    assert await house.result(notification) == "skipped"
    assert (await house.handle(notification).describe()).status is WorkflowExecutionStatus.COMPLETED


async def test_one_that_overslept_without_a_workflow_is_started(house: House) -> None:
    notification = await house.intake(recipient=await house.recipient(), **OTP)
    await age(house, notification, started_at=timedelta(hours=1), wake_at=timedelta(minutes=9))
    assert not (await reconcile(house)).started["overdue"]
    await age(house, notification, wake_at=timedelta(minutes=11))
    assert (await reconcile(house)).started["overdue"] == 1
    assert await house.result(notification) == "done"


async def test_the_schedule_is_created_once_and_named_when_missing(house: House) -> None:
    missing = await check_reconciliation(house.client)
    assert (missing.ok, missing.mend) == (False, "python -m tidings reconcile")
    handle: ScheduleHandle = house.client.get_schedule_handle(RECONCILIATION)
    try:
        assert await create_reconciliation(house.client) is True
        assert await create_reconciliation(house.client) is False
        assert (await check_reconciliation(house.client)).ok
        await handle.trigger()

        async def has_run() -> bool:
            return await last_reconciliation(house.client) is not None

        await until(has_run)
        last = await last_reconciliation(house.client)
        assert last is not None
        assert (last[1].started["overdue"], last[1].removed["outbox"]) == (0, 0)
    finally:
        await handle.delete()
