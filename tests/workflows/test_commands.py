"""Commands and views of the ledger that cross each other."""

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage

from notifications.plans import MessageState
from notifications.statuses import Channel, MessageStatus
from tests.support.workflow_world import HOUR, World, until
from tests.support.workflows import accepted, failed, stuck, transient
from workflows.commands import RerouteCommand, RetryCommand, SkipCommand, StuckMessages
from workflows.notification import NotificationWorkflow

_ACCEPTED = WorkflowUpdateStage.ACCEPTED


def _message(seq: int, channel: Channel) -> MessageState:
    return MessageState(seq, 0, channel, MessageStatus.PENDING, 1, "smtp_535", "memory")


async def test_two_retries_at_once_make_one_round(world: World):
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [stuck(), accepted()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        for _ in range(3):
            await handle.signal("retry")
        assert await handle.result() == "done"
    assert ledger.calls.count("retry 1") == 1
    assert [request.round for request in ledger.sends] == [1, 2]


async def test_a_look_during_a_reroute_loses_nothing(world: World):
    """The view shows the stuck message ended before the command's answer brings the new one."""
    ledger = await world.ledger(Channel.EMAIL, Channel.PUSH)
    ledger.answers[Channel.EMAIL] = [stuck()]
    ledger.answers[Channel.PUSH] = [stuck("fcm_403")]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: ledger.calls.count("report_stuck") == 2)
        ledger.gate.clear()  # commands are carried out, and their answers wait
        update = await handle.start_update(
            NotificationWorkflow.reroute_message, RerouteCommand(1, Channel.SMS), wait_for_stage=_ACCEPTED
        )
        await until(lambda: "reroute 1 sms" in ledger.calls)
        await handle.signal("reschedule")
        await until(lambda: "look" in ledger.calls)
        await handle.query("__temporal_workflow_metadata")  # answered after the look's task
        ledger.gate.set()
        assert (await update.result()).seq == 3
        await until(lambda: [request.channel for request in ledger.sends][2:] == ["sms"])
        await handle.execute_update(NotificationWorkflow.skip_message, SkipCommand(2))
        assert await handle.result() == "done"


async def test_rows_that_the_plan_did_not_hold_are_delivered_before_it_ends(world: World):
    """After a reset the plan comes from the history, older than a reroute."""
    ledger = await world.ledger(Channel.EMAIL)
    whole = await world.ledger(Channel.EMAIL, Channel.SMS)

    def reveal(request):
        ledger.state = whole.state
        return failed()

    ledger.answers[Channel.EMAIL] = [reveal]
    assert await (await world.start(ledger)).result() == "done"
    assert [request.channel for request in ledger.sends] == ["email", "sms"]


async def test_what_is_stuck_is_not_hidden_by_another_that_is_retrying(world: World):
    ledger = await world.ledger(Channel.EMAIL, Channel.SMS, expires_in=2 * HOUR)
    ledger.answers[Channel.EMAIL] = [stuck()]
    ledger.answers[Channel.SMS] = [transient(HOUR)]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        await handle.signal("delivery_retrying")
        metadata = str(await handle.query("__temporal_workflow_metadata"))
        ledger.cancel()
        await handle.signal("cancel")
        assert await handle.result() == "cancelled"
    assert "A delivery is stuck" in metadata


async def test_a_refused_command_leaves_the_message_stuck(world: World):
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [stuck(), accepted()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await handle.execute_update(NotificationWorkflow.reroute_message, RerouteCommand(1, Channel.WHATSAPP))
        assert "no_address" in str(refused.value.cause)
        await handle.execute_update(NotificationWorkflow.retry_message, RetryCommand(1))
        assert await handle.result() == "done"


async def test_a_send_whose_worker_is_lost_at_expiry_is_settled(world: World):
    """The row stays `sending` until the ledger gives its claim up; the workflow waits for that."""
    ledger = await world.ledger(Channel.EMAIL, expires_in=timedelta(seconds=12))
    ledger.answers[Channel.EMAIL] = [transient(HOUR)]  # Temporal gives up at once: the next try would come too late
    looks = 0

    def lose() -> None:
        nonlocal looks
        looks += 1
        ledger.change(1, status=MessageStatus.SENDING if looks < 9 else MessageStatus.UNKNOWN)

    ledger.on_expire = lose
    assert await (await world.start(ledger)).result() == "done"
    assert looks == 9


@pytest.mark.parametrize(
    ("text", "meant"),
    [(None, [1, 2, 3]), ("all", [1, 2, 3]), (' "Email" ', [1, 3]), ("2", [2]), (2, [2]), ("fax", []), ({"seq": 1}, [])],
    ids=repr,
)
def test_what_typed_text_means(text: object, meant: list[int]):
    messages = StuckMessages(uuid4())
    for seq, channel in enumerate((Channel.EMAIL, Channel.SMS, Channel.EMAIL), start=1):
        messages.add(_message(seq, channel))
    assert [message.seq for message in messages.addressed(text)] == meant


@pytest.mark.parametrize(
    ("text", "moves"),
    [
        ("sms", [(1, "sms")]),
        ("email -> sms", [(1, "sms")]),
        ("1 push", [(1, "push")]),
        ("email, push", [(1, "push")]),
        ("sms email", [(2, "email")]),
        ("fax", []),
        ("", []),
        (None, []),
    ],
    ids=repr,
)
def test_where_typed_text_moves_them(text: object, moves: list[tuple[int, str]]):
    messages = StuckMessages(uuid4())
    messages.add(_message(1, Channel.EMAIL))
    messages.add(_message(2, Channel.SMS))
    assert [(command.seq, str(command.channel)) for command in messages.rerouting(text)] == moves
