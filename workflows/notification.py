"""One event for one recipient: plan, wait, send, wait for an operator where a delivery is stuck, report."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.planning import FallbackRequest, PlanningActivities, PlanRequest, ReceiptWait
    from activities.sending import SendingActivities, SendRequest, SendResult
    from activities.temporal import channel_queue
    from notifications.plans import MessageState, NotificationState
    from notifications.statuses import ACCEPTED, MessageStatus, NotificationStatus, NotificationType, RoutingMode
    from workflows.commands import (
        CommandResult,
        RerouteCommand,
        RetryCommand,
        SkipCommand,
        StuckMessages,
    )
    from workflows.display import show, show_receipt_wait
    from workflows.ledger_calls import ask, make_plan
    from workflows.retries import LOOK_AGAIN, REPLAN_AFTER, SEND_RETRIES, SEND_START_TO_CLOSE

RETRYING = "retrying"  # a search attribute's value only: the notification's own status stays `running`
Look = Callable[[PlanningActivities, UUID], Awaitable[NotificationState]]
AWAIT_A_RECEIPT = {MessageStatus.SENT, MessageStatus.UNKNOWN}
ENDS_A_FALLBACK = ACCEPTED | {MessageStatus.UNKNOWN, MessageStatus.CANCELLED}


@dataclass(frozen=True)
class NotificationInput:
    """Ids only: what the event says stays in Postgres."""

    notification_id: str


@workflow.defn
class NotificationWorkflow:
    """The ledger decides, this waits: a signal only says "look again", and whatever runs twice changes nothing."""

    @workflow.init
    def __init__(self, notification: NotificationInput) -> None:
        self._id = UUID(notification.notification_id)
        self._state: NotificationState | None = None
        self._stuck = StuckMessages(self._id)
        self._sends: dict[int, workflow.ActivityHandle[SendResult]] = {}
        self._looking = asyncio.Lock()
        self._views = 0  # how often the ledger was looked at; those who wait notice a new view
        self._is_retrying = False

    @workflow.run
    async def run(self, notification: NotificationInput) -> str:
        del notification  # taken by __init__, since a signal may come before
        story = asyncio.create_task(self._story())
        try:
            return await asyncio.shield(story)
        except asyncio.CancelledError:
            # "Request Cancellation" in the UI does what the API's cancel does; begun calls are seen to their end.
            await self._look(PlanningActivities.withdraw, summary="cancel")
            return await story

    async def _story(self) -> str:
        state = self._see(await make_plan(PlanRequest(self._id, 1)))
        state = await self._wait_until_due(state)
        if state.mode is RoutingMode.FALLBACK:
            await self._fall_back(state)
        else:
            await self._deliver_all(state)
        status = await self._finish()
        while not status.is_final:
            # Rows that this run never heard of: those that a reroute made before a reset took its memory away.
            await self._deliver_all(await self._look())
            status = await self._finish()
        await workflow.wait_condition(workflow.all_handlers_finished)
        self._show(status)
        return str(status)

    async def _finish(self) -> NotificationStatus:
        return NotificationStatus(await ask(PlanningActivities.finish, self._id, summary="record the outcome"))

    async def _wait_until_due(self, state: NotificationState) -> NotificationState:
        """Wait for the planned time, looking again when told to; after a long wait, plan again."""
        planned_at = workflow.now()
        while not state.is_cancelled and state.due_at > workflow.now():
            await self._wait(until=state.due_at)
            state = self._known()
        if not state.is_cancelled and workflow.now() - planned_at > REPLAN_AFTER:
            state = self._see(await make_plan(PlanRequest(self._id, state.plan_version + 1)))
        return state

    async def _deliver_all(self, state: NotificationState) -> None:
        await asyncio.gather(*(self._deliver(message, stick=True) for message in state.messages))

    async def _fall_back(self, state: NotificationState) -> None:
        """One channel after the other, until one is accepted or, where asked for, delivered; only the last sticks."""
        steps = sorted({message.step for message in state.messages})
        for step in steps:
            messages = [message for message in state.messages if message.step == step]
            others_left = state.has_others(step)
            ends = set(await asyncio.gather(*(self._deliver(message, stick=not others_left) for message in messages)))
            if others_left and state.wait_for_receipt is not None and ends & AWAIT_A_RECEIPT:
                state = await self._wait_for_receipt(step, state.wait_for_receipt)
                ends = state.statuses(step) - {MessageStatus.SENT}
                others_left = state.has_others(step)
            if ENDS_A_FALLBACK.intersection(ends):
                if others_left:
                    request = FallbackRequest(self._id, step)
                    await ask(PlanningActivities.end_fallback, request, summary="other channels not needed")
                return

    async def _wait_for_receipt(self, step: int, limit: timedelta) -> NotificationState:
        """Until a receipt or the time decides; the look when the time is over makes good a wake-up that was lost."""
        deadline = min(workflow.now() + limit, self._known().expires_at)
        wait = ReceiptWait(self._id, deadline)
        async with self._looking:
            state = self._see(await ask(PlanningActivities.expect_receipt, wait, summary="wait for a receipt"))
        show_receipt_wait(state.messages, step, deadline)
        while state.awaits_receipt(step) and workflow.now() < deadline:
            view = self._views
            await self._wait(until=deadline)
            state = self._known() if self._views != view else await self._look()
        return state

    async def _deliver(self, message: MessageState, *, stick: bool) -> MessageStatus:
        """Take one message to its end, through as many rounds as operators give it."""
        while message.status.is_open:
            if message.stuck_reason is not None:
                message = await self._wait_for_operator(message)
                continue
            result = await self._send(message, stick=stick)
            if result is None:
                message = await self._settle(message)
                continue
            if result.due_at is not None and result.due_at > workflow.now():
                await self._wait(until=result.due_at)
            message = replace(
                message,
                status=result.status,
                round=result.round,
                stuck_reason=result.stuck_reason,
                provider=result.provider or message.provider,
            )
        return message.status

    async def _send(self, message: MessageState, *, stick: bool) -> SendResult | None:
        """One activity for the whole round; None: it ended without an answer, the ledger knows."""
        state = self._known()
        remaining = state.expires_at - workflow.now()
        if remaining <= timedelta():
            return None
        kind = NotificationType(state.type)
        send = self._sends[message.seq] = workflow.start_activity_method(
            SendingActivities.send,
            SendRequest(self._id, message.seq, message.channel, message.round, stick),
            task_queue=channel_queue(message.channel, kind),
            start_to_close_timeout=SEND_START_TO_CLOSE,
            schedule_to_close_timeout=remaining,
            retry_policy=SEND_RETRIES[kind],
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{message.channel}: message {message.seq}, round {message.round}",
        )
        try:
            return await send
        except (ActivityError, asyncio.CancelledError):
            return None
        finally:
            self._sends.pop(message.seq, None)

    async def _settle(self, message: MessageState) -> MessageState:
        """After a send without an answer: end what is past its time, and see what the ledger says."""
        await self._look(PlanningActivities.expire, summary="expire what is due")
        message = self._latest(message)
        if message.status.is_open:
            await workflow.sleep(LOOK_AGAIN)
        return message

    async def _wait_for_operator(self, message: MessageState) -> MessageState:
        """Stuck: wait for `retry`, `reroute` or `skip` until the message expires."""
        self._stuck.add(message)
        await ask(PlanningActivities.report_stuck, self._id, summary="record that it is stuck")
        self._show(NotificationStatus.STUCK)
        while message.status.is_open and message.stuck_reason is not None:
            expires_at = self._known().expires_at
            await self._wait(until=expires_at, for_answer_to=message.seq)
            await self._stuck.decided(message.seq)
            answer = self._stuck.take_answer(message.seq)
            if answer is None and workflow.now() >= expires_at:
                message = await self._settle(message)
            else:
                message = answer or self._latest(message)
        self._stuck.discard(message.seq)
        self._show(NotificationStatus.STUCK if self._stuck.waiting else RETRYING)
        return message

    async def _wait(self, *, until: datetime, for_answer_to: int | None = None) -> None:
        """Wait until a time, a new view of the ledger, or a command's answer, whichever is first."""
        view = self._views
        remaining = until - workflow.now()
        if remaining <= timedelta():
            return
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._views != view or (for_answer_to is not None and self._stuck.is_answered(for_answer_to)),
                timeout=remaining,
            )

    async def _look(
        self, method: Look = PlanningActivities.look, *, summary: str = "look at the ledger"
    ) -> NotificationState:
        """See what the ledger says; one at a time, so that an older answer never replaces a newer one."""
        async with self._looking:
            return self._see(await ask(method, self._id, summary=summary))

    def _see(self, state: NotificationState) -> NotificationState:
        """Take the ledger's word; a send that waits for a message which has ended is called off."""
        self._state = state
        self._views += 1
        for message in state.messages:
            if message.seq in self._sends and not message.status.is_open:
                self._sends.pop(message.seq).cancel()
        return state

    def _known(self) -> NotificationState:
        assert self._state is not None  # noqa: S101 - the plan comes before anything that asks
        return self._state

    def _latest(self, message: MessageState) -> MessageState:
        """The message in the newest view; one from before a reroute does not have the new message yet."""
        return next((each for each in self._known().messages if each.seq == message.seq), message)

    def _show(self, status: str) -> None:
        show(status, self._state.messages if self._state is not None else (), self._stuck.waiting)

    # What people and the API may say. A command that comes when its message is not stuck is refused or dropped.

    @workflow.signal
    async def cancel(self) -> None:
        """The ledger was told; look again."""
        await self._look()

    @workflow.signal
    async def reschedule(self) -> None:
        """The ledger was told; look again."""
        await self._look()

    @workflow.signal
    def delivery_retrying(self) -> None:
        """The send failed several times in a row."""
        if not self._is_retrying:
            self._is_retrying = True
            if not self._stuck.waiting:  # who looks for what is stuck must still find it
                self._show(RETRYING)

    @workflow.update(name="retry")
    async def retry_message(self, command: RetryCommand) -> CommandResult:
        return await self._stuck.act(command)

    @workflow.update(name="skip")
    async def skip_message(self, command: SkipCommand) -> CommandResult:
        return await self._stuck.act(command)

    @workflow.update(name="reroute")
    async def reroute_message(self, command: RerouteCommand) -> CommandResult:
        return await self._stuck.act(command)

    @retry_message.validator
    def _may_retry(self, command: RetryCommand) -> None:
        self._stuck.refuse_unless_stuck(command.seq)

    @skip_message.validator
    def _may_skip(self, command: SkipCommand) -> None:
        self._stuck.refuse_unless_stuck(command.seq)

    @reroute_message.validator
    def _may_reroute(self, command: RerouteCommand) -> None:
        self._stuck.refuse_unless_stuck(command.seq)

    @workflow.signal
    async def retry(self, text: Any = None) -> None:
        """Type nothing for all stuck messages, `"email"` for a channel's, `2` for one."""
        await self._stuck.act_on_all([RetryCommand(message.seq) for message in self._stuck.addressed(text)])

    @workflow.signal
    async def skip(self, text: Any = None) -> None:
        """Give up: all stuck messages, `"email"`, or `2`."""
        await self._stuck.act_on_all([SkipCommand(message.seq) for message in self._stuck.addressed(text)])

    @workflow.signal
    async def reroute(self, text: Any = None) -> None:
        """Type `"sms"` to move all stuck messages there, `"email sms"` to move one channel's."""
        await self._stuck.act_on_all(self._stuck.rerouting(text))
