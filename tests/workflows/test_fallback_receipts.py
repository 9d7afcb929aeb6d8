"""A fallback that waits for a receipt before it goes on: each way in which the wait can end; time is skipped."""

from datetime import timedelta

import pytest

from notifications.statuses import Channel, MessageStatus, RoutingMode
from tests.support.workflow_world import Handle, World, until
from tests.support.workflows import FakeLedger, accepted, failed
from workflows.notification import NotificationWorkflow

MINUTE = timedelta(minutes=1)
WAIT = 5 * MINUTE
UNKNOWN = type(accepted())(MessageStatus.UNKNOWN, 1)


async def waiting(world: World, **options: object) -> FakeLedger:
    return await world.ledger(
        Channel.WHATSAPP, Channel.SMS, mode=RoutingMode.FALLBACK, **({"wait_for_receipt": WAIT} | options)
    )


async def until_waiting(ledger: FakeLedger) -> None:
    await until(lambda: "expect_receipt" in ledger.calls)


async def report(handle: Handle, ledger: FakeLedger, status: MessageStatus) -> None:
    """As the webhook does: the row first, then the wake-up."""
    ledger.change(1, status=status)
    await handle.signal(NotificationWorkflow.reschedule)


def sent_to(ledger: FakeLedger) -> list[str]:
    return [request.channel for request in ledger.sends]


@pytest.mark.parametrize("status", [MessageStatus.DELIVERED, MessageStatus.OPENED])
async def test_delivered_the_other_channels_are_not_needed(world: World, status: MessageStatus):
    ledger = await waiting(world)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until_waiting(ledger)
        await report(handle, ledger, status)
        assert await handle.result() == "done"
    assert sent_to(ledger) == ["whatsapp"]
    assert "end_fallback 0" in ledger.calls


@pytest.mark.parametrize("status", [MessageStatus.BOUNCED, MessageStatus.FAILED])
async def test_a_negative_receipt_moves_on_at_once(world: World, status: MessageStatus):
    ledger = await waiting(world)
    with world.environment.auto_time_skipping_disabled():  # the time-out would never come
        handle = await world.start(ledger)
        await until_waiting(ledger)
        await report(handle, ledger, status)
        assert await handle.result() == "done"
    assert sent_to(ledger) == ["whatsapp", "sms"]


async def test_without_a_receipt_the_time_out_moves_on(world: World):
    ledger = await waiting(world)
    started = await world.now()
    handle = await world.start(ledger)
    assert await handle.result() == "done"
    assert sent_to(ledger) == ["whatsapp", "sms"]
    assert await world.now() - started >= WAIT
    assert [message.status for message in ledger.state.messages] == ["sent", "sent"]


@pytest.mark.parametrize(
    ("status", "channels"),
    [(MessageStatus.DELIVERED, ["whatsapp"]), (MessageStatus.BOUNCED, ["whatsapp", "sms"])],
)
async def test_a_lost_wake_up_is_made_good_when_the_time_is_over(
    world: World, status: MessageStatus, channels: list[str]
):
    ledger = await waiting(world)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until_waiting(ledger)
        ledger.change(1, status=status)
    assert await handle.result() == "done"
    assert sent_to(ledger) == channels


@pytest.mark.parametrize(
    ("status", "channels"),
    [(MessageStatus.DELIVERED, ["whatsapp"]), (MessageStatus.BOUNCED, ["whatsapp", "sms"])],
)
async def test_a_receipt_before_the_wait_is_seen(world: World, status: MessageStatus, channels: list[str]):
    ledger = await waiting(world)
    ledger.on_expect = lambda: ledger.change(1, status=status)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        assert await handle.result() == "done"
    assert sent_to(ledger) == channels


async def test_a_wake_up_for_something_else_does_not_end_the_wait(world: World):
    ledger = await waiting(world)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until_waiting(ledger)
        await handle.signal(NotificationWorkflow.reschedule)
        await until(lambda: "look" in ledger.calls)
        await handle.query("__temporal_workflow_metadata")  # answered after the signal's task
        assert sent_to(ledger) == ["whatsapp"]
        await report(handle, ledger, MessageStatus.DELIVERED)
        assert await handle.result() == "done"
    assert sent_to(ledger) == ["whatsapp"]


@pytest.mark.parametrize("is_told", [True, False])
async def test_the_wait_outlives_the_worker(world: World, *, is_told: bool):
    ledger = await waiting(world)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until_waiting(ledger)
        await world.stop_orchestrator()
        ledger.change(1, status=MessageStatus.DELIVERED)
        if is_told:
            await handle.signal(NotificationWorkflow.reschedule)
        await world.start_orchestrator()
    assert await handle.result() == "done"
    assert sent_to(ledger) == ["whatsapp"]
    assert ledger.calls.count("expect_receipt") == 1


async def test_a_lost_answer_does_not_move_on(world: World):
    ledger = await waiting(world)
    ledger.answers[Channel.WHATSAPP] = [UNKNOWN]
    handle = await world.start(ledger)
    assert await handle.result() == "done"
    assert sent_to(ledger) == ["whatsapp"]
    assert "end_fallback 0" in ledger.calls


async def test_a_lost_answer_that_is_reported_as_failed_moves_on(world: World):
    ledger = await waiting(world)
    ledger.answers[Channel.WHATSAPP] = [UNKNOWN]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until_waiting(ledger)
        await report(handle, ledger, MessageStatus.FAILED)
        assert await handle.result() == "done"
    assert sent_to(ledger) == ["whatsapp", "sms"]


async def test_no_wait_outlasts_the_notification(world: World):
    ledger = await waiting(world, expires_in=2 * MINUTE)
    handle = await world.start(ledger)
    assert await handle.result() == "done"
    assert ledger.expected_until == ledger.state.expires_at
    assert sent_to(ledger) == ["whatsapp"]  # for SMS it is too late


async def test_a_cancel_ends_the_wait(world: World):
    ledger = await waiting(world)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until_waiting(ledger)
        ledger.cancel()
        await handle.signal(NotificationWorkflow.cancel)
        assert await handle.result() == "done"  # one message had been accepted
    assert sent_to(ledger) == ["whatsapp"]


async def test_nobody_waits_for_the_last_channel_nor_after_a_failure(world: World):
    ledger = await waiting(world)
    ledger.answers[Channel.WHATSAPP] = [failed()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        assert await handle.result() == "done"
    assert sent_to(ledger) == ["whatsapp", "sms"]
    assert "expect_receipt" not in ledger.calls
