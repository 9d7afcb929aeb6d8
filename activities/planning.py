"""What the orchestrator asks of Postgres: plan, look at the ledger, and write down what operators decide."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.infrastructure import infrastructure
from notifications.contents import Contents
from notifications.database import Sessions, transaction
from notifications.ledger import Ledger
from notifications.plans import MessageState, NotificationState, Plans
from notifications.progress import Progress
from notifications.rerouting import CannotRerouteError, Rerouting
from notifications.statuses import Channel, NotificationStatus, SkipReason

log = structlog.get_logger()


@dataclass(frozen=True)
class PlanRequest:
    """`may_wait` says that this is an ordinary activity: a local one must not wait for an external service."""

    notification_id: UUID
    version: int
    may_wait: bool = False


@dataclass(frozen=True)
class MessageCommand:
    """An operator's word on one stuck message; `round` is the one it got stuck in."""

    notification_id: UUID
    seq: int
    round: int = 1
    channel: Channel | None = None


@dataclass(frozen=True)
class FallbackRequest:
    notification_id: UUID
    step: int


@dataclass(frozen=True)
class ReceiptWait:
    notification_id: UUID
    until: datetime


class PlanningActivities:
    def __init__(
        self,
        sessions: Sessions,
        *,
        ledger: Ledger,
        plans: Plans,
        progress: Progress,
        contents: Contents,
        rerouting: Rerouting,
    ) -> None:
        self._sessions = sessions
        self._ledger = ledger
        self._plans = plans
        self._progress = progress
        self._contents = contents
        self._rerouting = rerouting

    @activity.defn
    async def plan(self, request: PlanRequest) -> NotificationState | None:
        """Plan, or return what this version became before; None: ask again as an ordinary activity."""
        if not self._plans.is_local and not request.may_wait:
            return None
        async with infrastructure():
            return await self._plans.make(request.notification_id, request.version)

    @activity.defn
    async def look(self, notification_id: UUID) -> NotificationState:
        """The notification as the ledger has it now."""
        async with infrastructure():
            return await self._plans.state(notification_id)

    @activity.defn
    async def withdraw(self, notification_id: UUID) -> NotificationState:
        """Cancel what has not begun, for a cancel that came through Temporal itself."""
        async with infrastructure(), transaction(self._sessions) as session:
            await self._ledger.cancel(session, [notification_id])
        return await self.look(notification_id)

    @activity.defn
    async def expire(self, notification_id: UUID) -> NotificationState:
        """End the messages that are past their time."""
        async with infrastructure():
            await self._ledger.expire(notification_id)
        return await self.look(notification_id)

    @activity.defn
    async def end_fallback(self, request: FallbackRequest) -> None:
        """The channels after `step` are not needed any more."""
        async with infrastructure():
            await self._ledger.end_fallback(request.notification_id, request.step)

    @activity.defn
    async def expect_receipt(self, wait: ReceiptWait) -> NotificationState:
        """Begin to wait for a receipt, which may have come already."""
        async with infrastructure():
            await self._progress.expect_receipt(wait.notification_id, wait.until)
        return await self.look(wait.notification_id)

    @activity.defn
    async def retry_stuck(self, command: MessageCommand) -> MessageState:
        """Free a stuck message for its next round; one with a template error takes the newest template."""
        async with infrastructure():
            state = await self._plans.state(command.notification_id)
            stuck = _message(state, command.seq)
            newest = None
            if stuck.stuck_reason == "render_error":
                newest = await self._contents.newest_version(state.definition)
            await self._ledger.raise_round(
                command.notification_id, command.seq, from_round=command.round, definition_version=newest
            )
            await self._progress.running(command.notification_id)
        return await self._message(command.notification_id, command.seq)

    @activity.defn
    async def skip_stuck(self, command: MessageCommand) -> MessageState:
        """Give up a stuck message."""
        async with infrastructure():
            await self._ledger.skip(command.notification_id, command.seq, SkipReason.OPERATOR)
            await self._progress.running(command.notification_id)
        return await self._message(command.notification_id, command.seq)

    @activity.defn
    async def reroute_stuck(self, command: MessageCommand) -> MessageState:
        """End a stuck message and plan the same delivery on another channel; returns the new message.

        Raises:
            ApplicationError: not retryable; the recipient cannot be reached there, says why.

        """
        if command.channel is None:
            raise ApplicationError("reroute needs a channel", type="CannotReroute", non_retryable=True)
        async with infrastructure():
            try:
                seq = await self._rerouting.reroute(command.notification_id, command.seq, command.channel)
            except CannotRerouteError as error:
                raise ApplicationError(str(error), type="CannotReroute", non_retryable=True) from error
            await self._progress.running(command.notification_id)
        return await self._message(command.notification_id, seq)

    @activity.defn
    async def report_stuck(self, notification_id: UUID) -> NotificationStatus:
        async with infrastructure():
            return await self._progress.stuck(notification_id)

    @activity.defn
    async def finish(self, notification_id: UUID) -> NotificationStatus:
        """Record how it ended; the first that holds of done, failed, cancelled, expired, skipped."""
        async with infrastructure():
            status = await self._progress.finish(notification_id)
        log.info("notification.finished", notification_id=str(notification_id), status=str(status))
        return status

    async def _message(self, notification_id: UUID, seq: int) -> MessageState:
        return _message(await self.look(notification_id), seq)


def _message(state: NotificationState, seq: int) -> MessageState:
    for message in state.messages:
        if message.seq == seq:
            return message
    raise ApplicationError(f"there is no message {seq}", type="UnknownMessage", non_retryable=True)
