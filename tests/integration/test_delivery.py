"""The path of one notification on real servers: event, workflow, ledger, provider."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from notifications.ids import message_id
from notifications.providers.base import ErrorScope, PermanentDeliveryError, TransientDeliveryError
from notifications.statuses import Channel
from tests.support.integration import House, until
from workflows.commands import RetryCommand
from workflows.notification import NotificationWorkflow

CONFIG_ERROR = PermanentDeliveryError("smtp_535", "authentication failed", scope=ErrorScope.CONFIG)


async def test_a_payment_becomes_a_push_and_an_email(house: House):
    recipient = await house.recipient()
    notification = await house.send(recipient=recipient)
    assert await house.result(notification) == "done"
    assert await house.statuses(notification) == {"push": "sent", "email": "sent"}
    (mail,) = house.accepted(Channel.EMAIL, notification)
    assert mail.message.address == f"{recipient}@example.org"
    assert mail.idempotency_key == message_id(notification, mail.message.seq)
    row = await house.notification(notification)
    assert (row.status, row.wake_at) == ("done", None)


async def test_a_fallback_goes_to_the_next_channel(house: House):
    refused = PermanentDeliveryError("meta_131026", scope=ErrorScope.RECIPIENT)
    house.providers[Channel.WHATSAPP].script([refused])
    notification = await house.send(
        type="order.shipped",
        recipient=await house.recipient(),
        data={"order_id": "2207", "carrier": "DHL", "tracking_url": "https://acme.example/t/2207"},
    )
    assert await house.result(notification) == "done"
    assert await house.statuses(notification) == {"whatsapp": "failed", "sms": "sent"}


async def test_a_typed_retry_delivers_the_stuck_one_once(house: House):
    house.providers[Channel.SMS].script([CONFIG_ERROR])
    notification = await house.send(type="auth.otp", recipient=await house.recipient(), data={"code": "482915"})
    await house.until_stuck(notification)
    handle = house.handle(notification)
    with pytest.raises(WorkflowUpdateFailedError, match="Workflow update failed") as refused:
        await handle.execute_update(NotificationWorkflow.retry_message, RetryCommand(7))
    assert "message 7 is not stuck now (stuck: 1)" in str(refused.value.cause)
    await handle.signal("retry", "sms")
    assert await house.result(notification) == "done"
    assert len(house.accepted(Channel.SMS, notification)) == 1
    assert await house.attempts(notification) == [(1, 1, "rejected_config"), (1, 2, "accepted")]


async def test_a_local_refusal_reaches_the_operator_and_is_not_tried_again(house: House):
    house.providers[Channel.SMS].script([CONFIG_ERROR])
    notification = await house.send(type="auth.otp", recipient=await house.recipient(), data={"code": "482915"})
    await house.until_stuck(notification)
    handle = house.handle(notification)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("reroute", {"seq": 1, "channel": "email"})
    assert "auth.otp has no template for email" in str(refused.value.cause)
    history = (await handle.fetch_history()).to_json()
    assert "reroute_stuck" not in _scheduled_activities(history)
    await handle.signal("skip")
    assert await house.result(notification) == "skipped"


async def test_a_cancel_calls_off_a_send_that_waits_for_its_next_try(house: House):
    busy = TransientDeliveryError("twilio_429", retry_after=timedelta(seconds=15))
    house.providers[Channel.SMS].script([busy])
    notification = await house.send(
        type="appointment.reminder",
        recipient=await house.recipient(email=None),
        data={"appointment_id": "77", "starts_at": "2026-11-23T14:30:00+01:00", "place": "Berlin"},
    )
    await _until_attempts(house, notification, 1)
    assert await house.statuses(notification) == {"sms": "pending", "email": "skipped"}
    await house.cancel(notification)
    assert await house.result(notification) == "cancelled"
    assert house.accepted(Channel.SMS, notification) == []


async def test_a_begun_call_is_seen_to_its_end_by_a_cancel_from_the_ui(house: House):
    hold = house.providers[Channel.SMS].hold_next()
    notification = await house.send(type="auth.otp", recipient=await house.recipient(), data={"code": "482915"})
    await hold.begun.wait()
    await house.handle(notification).cancel()

    async def is_withdrawn() -> bool:
        return (await house.notification(notification)).cancelled_at is not None

    await until(is_withdrawn)
    hold.release.set()
    assert await house.result(notification) == "done"
    assert await house.statuses(notification) == {"sms": "sent"}


async def test_a_scheduled_one_is_sent_when_it_was_moved_to(house: House):
    later = datetime.now(UTC) + timedelta(hours=3)
    notification = await house.send(recipient=await house.recipient(), sendat=later.isoformat())

    async def is_planned() -> bool:
        return (await house.notification(notification)).status == "scheduled"

    await until(is_planned)
    assert await house.ledger.reschedule(notification, datetime.now(UTC) + timedelta(seconds=1))
    await house.handle(notification).signal("reschedule")
    assert await house.result(notification) == "done"
    assert await house.statuses(notification) == {"push": "sent", "email": "sent"}


async def test_operators_find_it_by_its_search_attributes(house: House):
    house.providers[Channel.SMS].script([CONFIG_ERROR])
    notification = await house.send(type="auth.otp", recipient=await house.recipient(), data={"code": "482915"})
    workflow_id = house.handle(notification).id

    async def finds(query: str) -> bool:
        found = house.client.list_workflows(f"{query} AND WorkflowId = '{workflow_id}'")
        return [each.id async for each in found] == [workflow_id]

    stuck = "DeliveryStatus = 'stuck' AND Channel = 'sms' AND Provider = 'memory' AND Definition = 'auth.otp'"
    await until(lambda: finds(stuck))
    await house.handle(notification).signal("retry")
    assert await house.result(notification) == "done"
    await until(lambda: finds("DeliveryStatus = 'done' AND NotificationType = 'transactional'"))


async def test_three_failures_are_shown_as_retrying(house: House):
    short = TransientDeliveryError("twilio_20429", retry_after=timedelta(milliseconds=10))
    house.providers[Channel.SMS].script([short] * 3)
    notification = await house.send(type="auth.otp", recipient=await house.recipient(), data={"code": "482915"})
    assert await house.result(notification) == "done"
    history = json.loads((await house.handle(notification).fetch_history()).to_json())
    upserts = [each for each in history["events"] if each["eventType"].endswith("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")]
    assert len(upserts) == 2  # retrying, done
    assert [outcome for _, _, outcome in await house.attempts(notification)] == ["transient"] * 3 + ["accepted"]


def _scheduled_activities(history: str) -> list[str]:
    return [
        each["activityTaskScheduledEventAttributes"]["activityType"]["name"]
        for each in json.loads(history)["events"]
        if "activityTaskScheduledEventAttributes" in each
    ]


async def _until_attempts(house: House, notification, count: int) -> None:
    async def are_recorded() -> bool:
        return len(await house.attempts(notification)) >= count

    await until(are_recorded)
