"""A type is full at its bound, and open again only well below it."""

import asyncio

import pytest

from bridge.backlog import Backlog
from bridge.readiness import Patience, Readiness
from notifications.statuses import NotificationType

_ALERT, _REMINDER = NotificationType.ALERT, NotificationType.REMINDER


class _Counts:
    def __init__(self) -> None:
        self.counts: dict[NotificationType, int] = {}
        self.is_down = False

    async def count_untried(self, limit: int) -> dict[NotificationType, int]:
        if self.is_down:
            raise ConnectionError
        return {kind: min(count, limit) for kind, count in self.counts.items()}


async def test_full_at_the_bound_and_open_below_three_quarters() -> None:
    counts = _Counts()
    backlog = Backlog(counts, limit=100)
    seen = []
    for untried in (99, 100, 90, 76, 74, 99):
        counts.counts = {_ALERT: untried}
        await backlog.refresh()
        seen.append(backlog.is_full([_ALERT]))
    assert seen == [False, True, True, True, False, False]


async def test_starts_since_the_last_count_are_added() -> None:
    counts = _Counts()
    backlog = Backlog(counts, limit=10)
    backlog.note([_REMINDER] * 10)
    assert backlog.is_full([_ALERT, _REMINDER])
    assert not backlog.is_full([_ALERT])
    assert not backlog.is_full([])
    await backlog.refresh()
    assert not backlog.is_full([_REMINDER])


async def test_a_failed_count_forgets_nothing() -> None:
    counts = _Counts()
    backlog = Backlog(counts, limit=10)
    backlog.note([_ALERT] * 9)
    counts.is_down = True
    with pytest.raises(ConnectionError):
        await backlog.refresh()
    backlog.note([_ALERT])
    assert backlog.is_full([_ALERT])


async def test_it_keeps_counting_through_an_outage() -> None:
    counts = _Counts()
    counts.counts, counts.is_down = {_ALERT: 10}, True
    backlog, readiness = Backlog(counts, limit=10), Readiness()
    task = asyncio.create_task(backlog.keep_fresh(Patience(readiness, asyncio.Event(), owner="bridge")))
    async with asyncio.timeout(20):
        while not readiness.problems():
            await asyncio.sleep(0)
        counts.is_down = False
        while not backlog.is_full([_ALERT]):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert readiness.problems() == {}
