"""A ledger of a few rows in memory behind the real activities' names, to test workflows without servers of ours."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.imports import ImportInput
from activities.planning import FallbackRequest, MessageCommand, PlanRequest, ReceiptWait
from activities.sending import SendRequest, SendResult
from notifications.imports.blocks import Progress
from notifications.plans import MessageState, NotificationState
from notifications.statuses import Channel, MessageStatus, NotificationStatus, RoutingMode

Answer = SendResult | ApplicationError | Callable[[SendRequest], SendResult]


def accepted(request_round: int = 1) -> SendResult:
    return SendResult(MessageStatus.SENT, request_round, provider="fake")


def stuck(reason: str = "smtp_535", request_round: int = 1) -> SendResult:
    return SendResult(MessageStatus.PENDING, request_round, reason, reason, "fake")


def failed(reason: str = "smtp_550") -> SendResult:
    return SendResult(MessageStatus.FAILED, 1, reason, provider="fake")


def transient(delay: timedelta) -> ApplicationError:
    return ApplicationError("not now", type="transient", next_retry_delay=delay)


class FakeLedger:
    """`answers` are what the provider does, per channel, in order; the last one repeats."""

    def __init__(
        self,
        *channels: Channel,
        mode: RoutingMode = RoutingMode.ALL,
        due_in: timedelta = timedelta(),
        expires_in: timedelta = timedelta(hours=72),
        wait_for_receipt: timedelta | None = None,
        now: datetime,
        clock: Callable[[], Awaitable[datetime]],
    ) -> None:
        self.id = uuid.uuid4()
        self._clock = clock
        self.calls: list[str] = []
        self.sends: list[SendRequest] = []
        self.answers: dict[Channel, list[Answer]] = {}
        self.on_expire: Callable[[], None] = self.end_what_is_due
        self.gate = asyncio.Event()  # while cleared, reroutes are done and their answers wait
        self.gate.set()
        self.on_expect: Callable[[], object] = lambda: None
        self.state = NotificationState(
            type="transactional",
            definition="payment.succeeded",
            mode=mode,
            plan_version=0,
            due_at=now + due_in,
            expires_at=now + due_in + expires_in,
            is_cancelled=False,
            messages=tuple(
                MessageState(seq, seq - 1, channel, MessageStatus.PENDING, 1, None, None)
                for seq, channel in enumerate(channels, start=1)
            ),
            wait_for_receipt=wait_for_receipt,
        )

    def message(self, seq: int) -> MessageState:
        return next(message for message in self.state.messages if message.seq == seq)

    def change(self, seq: int, **values: object) -> MessageState:
        changed = replace(self.message(seq), **values)  # type: ignore[arg-type]
        messages = tuple(changed if message.seq == seq else message for message in self.state.messages)
        self.state = replace(self.state, messages=messages)
        return changed

    def cancel(self) -> None:
        self.state = replace(self.state, is_cancelled=True)
        for message in self.state.messages:
            if message.status is MessageStatus.PENDING:
                self.change(message.seq, status=MessageStatus.CANCELLED, stuck_reason=None)

    async def plan(self, request: PlanRequest) -> NotificationState | None:
        self.calls.append(f"plan {request.version}")
        self.state = replace(self.state, plan_version=max(request.version, self.state.plan_version))
        return self.state

    async def look(self) -> NotificationState:
        self.calls.append("look")
        return self.state

    async def withdraw(self) -> NotificationState:
        self.calls.append("withdraw")
        self.cancel()
        return self.state

    async def expire(self) -> NotificationState:
        self.calls.append("expire")
        if self.state.expires_at <= await self._clock():
            self.on_expire()
        return self.state

    def end_what_is_due(self) -> None:
        for message in self.state.messages:
            if message.status is MessageStatus.PENDING:
                self.change(message.seq, status=MessageStatus.FAILED, stuck_reason=None)

    async def end_fallback(self, request: FallbackRequest) -> None:
        self.calls.append(f"end_fallback {request.step}")
        for message in self.state.messages:
            if message.step > request.step:
                self.change(message.seq, status=MessageStatus.SKIPPED)

    async def expect_receipt(self, wait: ReceiptWait) -> NotificationState:
        self.calls.append("expect_receipt")
        self.expected_until = wait.until
        self.on_expect()
        return self.state

    async def retry_stuck(self, command: MessageCommand) -> MessageState:
        self.calls.append(f"retry {command.seq}")
        return self.change(command.seq, round=command.round + 1, stuck_reason=None)

    async def skip_stuck(self, command: MessageCommand) -> MessageState:
        self.calls.append(f"skip {command.seq}")
        return self.change(command.seq, status=MessageStatus.SKIPPED, stuck_reason=None)

    async def reroute_stuck(self, command: MessageCommand) -> MessageState:
        self.calls.append(f"reroute {command.seq} {command.channel}")
        if command.channel is Channel.WHATSAPP:
            raise ApplicationError("not on whatsapp: no_address", type="CannotReroute", non_retryable=True)
        assert command.channel is not None
        if self.message(command.seq).status is not MessageStatus.SKIPPED:  # else it ran before
            self.change(command.seq, status=MessageStatus.SKIPPED, stuck_reason=None)
            seq = len(self.state.messages) + 1
            fresh = MessageState(seq, 0, command.channel, MessageStatus.PENDING, 1, None, None)
            self.state = replace(self.state, messages=(*self.state.messages, fresh))
        await self.gate.wait()
        return self.state.messages[-1]

    async def report_stuck(self) -> NotificationStatus:
        self.calls.append("report_stuck")
        return NotificationStatus.STUCK

    async def finish(self) -> NotificationStatus:
        self.calls.append("finish")
        statuses = {message.status for message in self.state.messages}
        if any(status.is_open for status in statuses):
            return NotificationStatus.RUNNING
        for status, end in (
            (MessageStatus.SENT, NotificationStatus.DONE),
            (MessageStatus.DELIVERED, NotificationStatus.DONE),
            (MessageStatus.OPENED, NotificationStatus.DONE),
            (MessageStatus.UNKNOWN, NotificationStatus.DONE),
            (MessageStatus.FAILED, NotificationStatus.FAILED),
            (MessageStatus.CANCELLED, NotificationStatus.CANCELLED),
        ):
            if status in statuses:
                return end
        return NotificationStatus.SKIPPED

    async def send(self, request: SendRequest) -> SendResult:
        message = self.message(request.seq)
        if not message.status.is_open:
            return SendResult(message.status, message.round)
        self.sends.append(request)
        script = self.answers.get(request.channel) or [accepted(request.round)]
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, ApplicationError):
            raise answer
        result = answer if isinstance(answer, SendResult) else answer(request)
        result = replace(result, round=request.round)
        self.change(request.seq, status=result.status, stuck_reason=result.stuck_reason, provider=result.provider)
        return result


class FakeActivities:
    """The activities of one set of workers, for many ledgers: each call goes to its notification's own."""

    def __init__(self) -> None:
        self.ledgers: dict[UUID, FakeLedger] = {}
        self.imports: dict[str, list[Progress | ApplicationError]] = {}  # what each run of the activity answers

    @property
    def planning(self) -> list[Callable[..., object]]:
        return [
            self.plan,
            self.look,
            self.withdraw,
            self.expire,
            self.end_fallback,
            self.expect_receipt,
            self.retry_stuck,
            self.skip_stuck,
            self.reroute_stuck,
            self.report_stuck,
            self.finish,
            self.import_rows,
        ]

    @activity.defn(name="plan")
    async def plan(self, request: PlanRequest) -> NotificationState | None:
        return await self.ledgers[request.notification_id].plan(request)

    @activity.defn(name="look")
    async def look(self, notification_id: UUID) -> NotificationState:
        return await self.ledgers[notification_id].look()

    @activity.defn(name="withdraw")
    async def withdraw(self, notification_id: UUID) -> NotificationState:
        return await self.ledgers[notification_id].withdraw()

    @activity.defn(name="expire")
    async def expire(self, notification_id: UUID) -> NotificationState:
        return await self.ledgers[notification_id].expire()

    @activity.defn(name="end_fallback")
    async def end_fallback(self, request: FallbackRequest) -> None:
        await self.ledgers[request.notification_id].end_fallback(request)

    @activity.defn(name="expect_receipt")
    async def expect_receipt(self, wait: ReceiptWait) -> NotificationState:
        return await self.ledgers[wait.notification_id].expect_receipt(wait)

    @activity.defn(name="retry_stuck")
    async def retry_stuck(self, command: MessageCommand) -> MessageState:
        return await self.ledgers[command.notification_id].retry_stuck(command)

    @activity.defn(name="skip_stuck")
    async def skip_stuck(self, command: MessageCommand) -> MessageState:
        return await self.ledgers[command.notification_id].skip_stuck(command)

    @activity.defn(name="reroute_stuck")
    async def reroute_stuck(self, command: MessageCommand) -> MessageState:
        return await self.ledgers[command.notification_id].reroute_stuck(command)

    @activity.defn(name="report_stuck")
    async def report_stuck(self, notification_id: UUID) -> NotificationStatus:
        return await self.ledgers[notification_id].report_stuck()

    @activity.defn(name="finish")
    async def finish(self, notification_id: UUID) -> NotificationStatus:
        return await self.ledgers[notification_id].finish()

    @activity.defn(name="send")
    async def send(self, request: SendRequest) -> SendResult:
        return await self.ledgers[request.origin_id].send(request)

    @activity.defn(name="import_rows")
    async def import_rows(self, wanted: ImportInput) -> Progress:
        answer = self.imports[wanted.import_id].pop(0)
        if isinstance(answer, ApplicationError):
            raise answer
        return answer
