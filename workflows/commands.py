"""What operators say about stuck messages, as updates (typed, checked) and as signals that a person can type."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.planning import MessageCommand, PlanningActivities
    from notifications.plans import MessageState
    from notifications.statuses import Channel, MessageStatus
    from workflows.ledger_calls import ask


@dataclass(frozen=True)
class RetryCommand:
    seq: int


@dataclass(frozen=True)
class SkipCommand:
    seq: int


@dataclass(frozen=True)
class RerouteCommand:
    seq: int
    channel: Channel


Command = RetryCommand | SkipCommand | RerouteCommand


@dataclass(frozen=True)
class CommandResult:
    """The message after the command; a reroute answers with the new message."""

    seq: int
    status: MessageStatus
    round: int


class StuckMessages:
    """The messages that wait for an operator now.

    A command takes its message out before anything else happens, so that a second one finds nothing to act on.
    """

    def __init__(self, notification_id: UUID) -> None:
        self._notification_id = notification_id
        self._waiting: dict[int, MessageState] = {}
        self._deciding: set[int] = set()
        self._answered: dict[int, MessageState] = {}

    @property
    def waiting(self) -> list[MessageState]:
        return [self._waiting[seq] for seq in sorted(self._waiting)]

    def add(self, message: MessageState) -> None:
        self._waiting[message.seq] = message

    def discard(self, seq: int) -> None:
        self._waiting.pop(seq, None)

    async def decided(self, seq: int) -> None:
        """Wait for a command that is under way: the ledger may show its work before its answer is here."""
        await workflow.wait_condition(lambda: seq not in self._deciding)

    def is_answered(self, seq: int) -> bool:
        return seq in self._answered

    def take_answer(self, seq: int) -> MessageState | None:
        """The message to go on with, if a command has decided; a rerouted one is another message."""
        return self._answered.pop(seq, None)

    def refuse_unless_stuck(self, seq: int) -> None:
        """The updates' validator.

        Raises:
            ValueError: says where the message stands instead.

        """
        if seq not in self._waiting:
            stuck = ", ".join(str(message.seq) for message in self.waiting) or "none"
            message = f"message {seq} is not stuck now (stuck: {stuck}); a command acts only on a stuck message"
            raise ValueError(message)

    async def act(self, command: Command) -> CommandResult:
        """Carry a command out in the ledger, then let the delivery go on.

        Raises:
            FailureError: the ledger refused (a reroute without an address); the message is stuck as before.

        """
        stuck = self._waiting.pop(command.seq)
        self._deciding.add(stuck.seq)
        channel = command.channel if isinstance(command, RerouteCommand) else None
        order = MessageCommand(self._notification_id, stuck.seq, stuck.round, channel)
        try:
            state: MessageState = await ask(
                _ACTIVITIES[type(command)], order, summary=f"operator: {_VERBS[type(command)]}"
            )
        except BaseException:
            self._waiting[stuck.seq] = stuck
            raise
        finally:
            self._deciding.discard(stuck.seq)
        self._answered[stuck.seq] = state
        return CommandResult(state.seq, state.status, state.round)

    async def act_on_all(self, commands: Sequence[Command]) -> None:
        """A signal's commands: what cannot be done is logged and dropped, never remembered."""
        if not commands:
            workflow.logger.warning("command.dropped: no stuck message is meant by it")
        for command in commands:
            try:
                await self.act(command)
            except (FailureError, KeyError) as error:
                workflow.logger.warning("command.dropped: %s", type(error).__name__)

    def addressed(self, text: Any) -> list[MessageState]:
        """The stuck messages that typed text means: nothing = all, `email` = that channel, `2` = that message."""
        word = str(text if text is not None else "").strip().strip('"').lower()
        if word in {"", "all"}:
            return self.waiting
        return [message for message in self.waiting if word in {message.channel, str(message.seq)}]

    def rerouting(self, text: Any) -> list[RerouteCommand]:
        """`sms` moves every stuck message to SMS, `email sms` or `2 sms` the one meant."""
        words = str(text or "").strip().strip('"').lower().replace("->", " ").replace(",", " ").split()
        if not words or words[-1] not in set(Channel):
            return []
        target = Channel(words[-1])
        meant = self.addressed(words[0] if len(words) > 1 else "")
        return [RerouteCommand(message.seq, target) for message in meant if message.channel != target]


_ACTIVITIES: dict[type, Any] = {
    RetryCommand: PlanningActivities.retry_stuck,
    SkipCommand: PlanningActivities.skip_stuck,
    RerouteCommand: PlanningActivities.reroute_stuck,
}
_VERBS = {RetryCommand: "retry", SkipCommand: "skip", RerouteCommand: "reroute"}
