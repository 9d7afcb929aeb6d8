"""Many stuck messages at once: each asked once, at a bounded rate, and a run that ends when nobody answers."""

import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from typing_extensions import override

from api.collaborators import (
    CommandName,
    CommandOutcome,
    CommandRefusedError,
    MessageCommand,
    NoWorkerError,
    WorkflowGoneError,
    WorkflowsUnavailableError,
)
from api.memory import MemoryWorkflows
from api.stuck_releases import Pace, Release, ReleaseOutcome, StuckReleases
from notifications.database import Sessions
from notifications.queries.stuck import StuckFilter, StuckMessage, find_stuck
from notifications.statuses import Channel
from tests.api.support import message_row, notification_row, save, unique


def _messages(count: int) -> list[StuckMessage]:
    now = datetime.now(UTC)
    return [StuckMessage(uuid.uuid4(), 1, "email", "smtp", "a", "smtp_451", now, now) for _ in range(count)]


class _Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def _release(workflows: MemoryWorkflows, messages: list[StuckMessage]) -> tuple[list[Release], float]:
    clock = _Clock()
    releases = StuckReleases(workflows, pace=Pace(20, clock=clock, sleep=clock.sleep))
    return [one async for one in releases.release(messages, CommandName.RETRY)], clock.now


async def test_each_is_asked_once_at_twenty_a_second() -> None:
    workflows, messages = MemoryWorkflows(), _messages(101)
    releases, seconds = await _release(workflows, messages)
    assert {one.outcome for one in releases} == {ReleaseOutcome.DONE}
    assert [(each.notification_id, MessageCommand(CommandName.RETRY, 1)) for each in messages] == workflows.commands
    assert seconds == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (CommandRefusedError("not stuck"), ReleaseOutcome.NOT_STUCK),
        (WorkflowGoneError("gone"), ReleaseOutcome.GONE),
    ],
)
async def test_one_that_cannot_be_released_does_not_hold_up_the_others(
    failure: Exception, outcome: ReleaseOutcome
) -> None:
    releases, _ = await _release(MemoryWorkflows(failure=failure), _messages(30))
    assert Counter(one.outcome for one in releases) == {outcome: 30}


@pytest.mark.parametrize(
    ("failure", "outcome", "at_most"),
    [
        (WorkflowsUnavailableError("away"), ReleaseOutcome.UNAVAILABLE, 20),
        (NoWorkerError("nobody"), ReleaseOutcome.UNANSWERED, 40),
    ],
)
async def test_it_ends_where_nobody_answers(failure: Exception, outcome: ReleaseOutcome, at_most: int) -> None:
    releases, _ = await _release(MemoryWorkflows(failure=failure), _messages(100))
    counts = Counter(one.outcome for one in releases)
    assert len(releases) == 100
    assert 0 < counts[outcome] <= at_most
    assert counts[outcome] + counts[ReleaseOutcome.NOT_ASKED] == 100


async def test_answers_of_one_do_not_count_for_another() -> None:
    class Half(MemoryWorkflows):
        @override
        async def command(self, notification_id: UUID, command: MessageCommand) -> CommandOutcome:
            if len(self.commands) % 2:
                self.commands.append((notification_id, command))
                raise CommandRefusedError("not stuck")
            return await super().command(notification_id, command)

    releases, _ = await _release(Half(), _messages(10))
    assert Counter(one.outcome for one in releases) == {ReleaseOutcome.DONE: 5, ReleaseOutcome.NOT_STUCK: 5}


async def test_finding_by_what_an_operator_knows(sessions: Sessions) -> None:
    definition, now = unique("definition"), datetime.now(UTC)
    row = notification_row(unique("pay"), definition=definition)
    stuck = {"stuck_reason": "smtp_451", "provider": "smtp"}
    await save(
        sessions,
        row,
        message_row(row, 1, **stuck),
        message_row(row, 2, **stuck | {"channel": "sms", "provider": "twilio"}),
        message_row(row, 3, **stuck, updated_at=now - timedelta(hours=2)),
        message_row(row, 4),
        message_row(row, 5, **stuck, expires_at=now - timedelta(seconds=1)),
        message_row(row, 6, **stuck, status="failed"),
    )

    async def found(**more: object) -> list[int]:
        wanted = StuckFilter(definition=definition, **more)  # type: ignore[arg-type]
        return [one.seq async for one in find_stuck(sessions, wanted)]

    assert await found() == [1, 2, 3]
    assert await found(provider="twilio") == [2]
    assert await found(channel=Channel.EMAIL) == [1, 3]
    assert await found(since=now - timedelta(hours=1)) == [1, 2]


async def test_more_than_a_page(sessions: Sessions) -> None:
    definition = unique("definition")
    row = notification_row(unique("pay"), definition=definition)
    await save(sessions, row, *(message_row(row, seq, stuck_reason="x") for seq in range(1, 1002)))
    found = [one.seq async for one in find_stuck(sessions, StuckFilter(definition=definition))]
    assert found == list(range(1, 1002))
