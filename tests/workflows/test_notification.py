"""The story of one notification, in every turn it can take; time is skipped, activities are fakes."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from notifications.statuses import Channel, MessageStatus, RoutingMode
from tests.support.workflow_world import HOUR, World, until
from tests.support.workflows import accepted, failed, stuck, transient
from workflows.commands import RerouteCommand, RetryCommand, SkipCommand
from workflows.notification import NotificationWorkflow


async def test_all_channels_are_sent_in_parallel(world: World):
    ledger = await world.ledger(Channel.PUSH, Channel.EMAIL)
    handle = await world.start(ledger)
    assert await handle.result() == "done"
    assert sorted(request.channel for request in ledger.sends) == ["email", "push"]
    assert ledger.calls == ["plan 1", "finish"]


async def test_a_scheduled_one_waits_and_plans_again(world: World):
    ledger = await world.ledger(Channel.EMAIL, due_in=5 * HOUR)
    handle = await world.start(ledger)
    assert await handle.result() == "done"
    assert ledger.calls == ["plan 1", "plan 2", "finish"]
    assert await world.now() >= ledger.state.due_at


async def test_a_cancel_ends_the_wait(world: World):
    ledger = await world.ledger(Channel.EMAIL, due_in=5 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "plan 1" in ledger.calls)
        ledger.cancel()
        await handle.signal(NotificationWorkflow.cancel)
        assert await handle.result() == "cancelled"
    assert ledger.sends == []


async def test_a_reschedule_moves_the_wait(world: World):
    ledger = await world.ledger(Channel.EMAIL, due_in=5 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "plan 1" in ledger.calls)
        ledger.state = type(ledger.state)(
            **{name: getattr(ledger.state, name) for name in ledger.state.__slots__} | {"due_at": await world.now()}
        )
        await handle.signal(NotificationWorkflow.reschedule)
        assert await handle.result() == "done"


async def test_a_transient_error_is_tried_again_when_the_provider_said(world: World):
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [transient(timedelta(minutes=7)), accepted()]
    started = await world.now()
    handle = await world.start(ledger)
    assert await handle.result() == "done"
    assert len(ledger.sends) == 2
    assert await world.now() - started >= timedelta(minutes=7)


async def test_a_fallback_moves_on_and_only_its_last_channel_may_stick(world: World):
    ledger = await world.ledger(Channel.WHATSAPP, Channel.SMS, mode=RoutingMode.FALLBACK)
    ledger.answers[Channel.WHATSAPP] = [failed()]
    handle = await world.start(ledger)
    assert await handle.result() == "done"
    assert [(request.channel, request.stick) for request in ledger.sends] == [("whatsapp", False), ("sms", True)]


@pytest.mark.parametrize("end", [MessageStatus.SENT, MessageStatus.UNKNOWN])
async def test_a_fallback_ends_with_the_first_that_may_have_arrived(world: World, end: MessageStatus):
    ledger = await world.ledger(Channel.WHATSAPP, Channel.SMS, mode=RoutingMode.FALLBACK)
    ledger.answers[Channel.WHATSAPP] = [type(accepted())(end, 1)]
    handle = await world.start(ledger)
    assert await handle.result() == "done"
    assert [request.channel for request in ledger.sends] == ["whatsapp"]
    assert "end_fallback 0" in ledger.calls


@pytest.mark.parametrize("typed", [None, "", "all", "email", '"email"', "1", 1], ids=repr)
async def test_a_typed_retry_sends_the_stuck_message_in_its_next_round(world: World, typed: object):
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [stuck(), accepted()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        await handle.signal("retry", *([] if typed is None else [typed]))
        assert await handle.result() == "done"
    assert [request.round for request in ledger.sends] == [1, 2]


async def test_a_signal_for_another_channel_is_dropped_and_not_remembered(world: World):
    ledger = await world.ledger(Channel.EMAIL, expires_in=2 * HOUR)
    ledger.answers[Channel.EMAIL] = [transient(timedelta(minutes=5)), stuck()]
    handle = await world.start(ledger)
    await until(lambda: len(ledger.sends) >= 1)
    await handle.signal("retry", "email")  # not stuck yet
    assert await handle.result() == "failed"
    assert "retry 1" not in ledger.calls


async def test_an_update_acts_only_on_a_stuck_message(world: World):
    ledger = await world.ledger(Channel.EMAIL, Channel.PUSH)
    ledger.answers[Channel.EMAIL] = [stuck(), accepted()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update("retry", RetryCommand(2))
        assert "message 2 is not stuck now (stuck: 1)" in str(refused.value.cause)
        result = await handle.execute_update(NotificationWorkflow.retry_message, RetryCommand(1))
        assert (result.seq, result.round) == (1, 2)
        assert await handle.result() == "done"


async def test_skip_gives_up(world: World):
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [stuck()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        await handle.execute_update(NotificationWorkflow.skip_message, SkipCommand(1))
        assert await handle.result() == "skipped"


async def test_reroute_delivers_on_another_channel_or_stays_stuck(world: World):
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [stuck()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        with pytest.raises(WorkflowUpdateFailedError):
            await handle.execute_update(NotificationWorkflow.reroute_message, RerouteCommand(1, Channel.WHATSAPP))
        await handle.signal("reroute", "whatsapp")  # the same by signal: logged and dropped
        await until(lambda: ledger.calls.count("reroute 1 whatsapp") >= 2)
        await handle.query("__temporal_workflow_metadata")  # answered after the signal's task
        await handle.signal("reroute", "email sms")
        assert await handle.result() == "done"
    assert [request.channel for request in ledger.sends] == ["email", "sms"]


async def test_what_stays_stuck_fails_when_it_expires(world: World):
    ledger = await world.ledger(Channel.EMAIL, expires_in=3 * HOUR)
    ledger.answers[Channel.EMAIL] = [stuck()]
    handle = await world.start(ledger)
    assert await handle.result() == "failed"
    assert await world.now() >= ledger.state.expires_at


async def test_a_cancel_reaches_a_stuck_message(world: World):
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [stuck()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        ledger.cancel()
        await handle.signal(NotificationWorkflow.cancel)
        assert await handle.result() == "cancelled"


async def test_a_cancel_calls_off_a_send_that_waits_for_its_next_try(world: World):
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [transient(HOUR)]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: len(ledger.sends) == 1)
        ledger.cancel()
        await handle.signal(NotificationWorkflow.cancel)
        assert await handle.result() == "cancelled"


async def test_request_cancellation_in_the_ui_does_what_the_api_does(world: World):
    ledger = await world.ledger(Channel.EMAIL, due_in=5 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "plan 1" in ledger.calls)
        await handle.cancel()
        assert await handle.result() == "cancelled"
    assert "withdraw" in ledger.calls


async def test_a_restarted_workflow_goes_on_from_the_ledger(world: World):
    ledger = await world.ledger(Channel.PUSH, Channel.EMAIL)
    ledger.change(1, status=MessageStatus.SENT)
    ledger.change(2, stuck_reason="smtp_535", round=3)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        await handle.signal("retry")
        assert await handle.result() == "done"
    assert [(request.channel, request.round) for request in ledger.sends] == [("email", 4)]
