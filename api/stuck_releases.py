"""Retry or skip many stuck messages, one update of its workflow each, at a bounded rate."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from api.collaborators import (
    CommandName,
    CommandRefusedError,
    MessageCommand,
    NoWorkerError,
    WorkflowGoneError,
    Workflows,
    WorkflowsUnavailableError,
)
from notifications.queries.stuck import StuckMessage

MAX_PER_SECOND = 20  # a provider that has just come back is not run over
_MAX_UNANSWERED = 20  # then no worker is there, and asking on only fills its queue


class ReleaseOutcome(StrEnum):
    DONE = "done"
    NOT_STUCK = "not_stuck"  # somebody else was faster, or it expired
    GONE = "gone"  # its workflow is not running
    UNANSWERED = "unanswered"  # no worker answered; it may still be carried out
    UNAVAILABLE = "unavailable"  # Temporal does not answer
    NOT_ASKED = "not_asked"  # the run ended before its turn


@dataclass(frozen=True, slots=True)
class Release:
    message: StuckMessage
    outcome: ReleaseOutcome


class Pace:
    """At most `per_second` turns a second, however long each one takes; times are monotonic seconds."""

    def __init__(
        self,
        per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._interval = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._next = clock()

    async def turn(self) -> None:
        wait = self._next - self._clock()
        self._next = max(self._next, self._clock()) + self._interval
        if wait > 0:
            await self._sleep(wait)


class StuckReleases:
    """A run that is broken off, or done twice, releases nothing twice: a command acts on a stuck message only."""

    def __init__(self, workflows: Workflows, *, pace: Pace | None = None) -> None:
        self._workflows = workflows
        self._pace = pace or Pace(MAX_PER_SECOND)
        self._unanswered = 0
        self._ended = False

    async def release(self, messages: Sequence[StuckMessage], name: CommandName) -> AsyncIterator[Release]:
        """Each message's outcome, as soon as there is one; ends early where nobody answers any more."""
        running: set[asyncio.Task[Release]] = set()
        try:
            for index, message in enumerate(messages):
                if self._ended:
                    for left in messages[index:]:
                        yield Release(left, ReleaseOutcome.NOT_ASKED)
                    break
                await self._pace.turn()
                running.add(asyncio.create_task(self._one(message, name)))
                full = len(running) >= MAX_PER_SECOND
                done, running = await asyncio.wait(running, return_when=_FIRST, timeout=None if full else 0)
                for task in done:
                    yield task.result()
            while running:
                done, running = await asyncio.wait(running, return_when=_FIRST)
                for task in done:
                    yield task.result()
        finally:
            for task in running:
                task.cancel()

    async def _one(self, message: StuckMessage, name: CommandName) -> Release:
        outcome = await self._ask(message, name)
        self._unanswered += outcome is ReleaseOutcome.UNANSWERED
        self._ended |= outcome is ReleaseOutcome.UNAVAILABLE or self._unanswered >= _MAX_UNANSWERED
        return Release(message, outcome)

    async def _ask(self, message: StuckMessage, name: CommandName) -> ReleaseOutcome:
        try:
            await self._workflows.command(message.notification_id, MessageCommand(name, message.seq))
        except CommandRefusedError:
            return ReleaseOutcome.NOT_STUCK
        except WorkflowGoneError:
            return ReleaseOutcome.GONE
        except NoWorkerError:
            return ReleaseOutcome.UNANSWERED
        except WorkflowsUnavailableError:
            return ReleaseOutcome.UNAVAILABLE
        return ReleaseOutcome.DONE


_FIRST = asyncio.FIRST_COMPLETED
