"""How many workflows are started at once: a flood of one type takes no other's turn, and offers leave room."""

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

from temporalio.client import Client

from bridge.starts import Starter
from notifications.pending import PendingStart
from notifications.statuses import NotificationType

_PROMOTIONAL, _TRANSACTIONAL, _ALERT = (
    NotificationType.PROMOTIONAL,
    NotificationType.TRANSACTIONAL,
    NotificationType.ALERT,
)


class _BusyTemporal:
    """Answers a start once it is told to, or after `seconds`; what it was asked for is in `asked` in order."""

    def __init__(self, seconds: float | None = None) -> None:
        self.answers = asyncio.Event()
        self.asked: list[str] = []
        self.began: list[float] = []
        self.ended: list[float] = []
        self._seconds = seconds

    async def start_workflow(self, *_arguments: Any, search_attributes: Any, **_options: Any) -> SimpleNamespace:
        self.asked.append(next(pair.value for pair in search_attributes if pair.key.name == "NotificationType"))
        self.began.append(asyncio.get_running_loop().time())
        if self._seconds is None:
            await self.answers.wait()
        else:
            await asyncio.sleep(self._seconds)
        self.ended.append(asyncio.get_running_loop().time())
        return SimpleNamespace(first_execution_run_id="a run")


def _starter(temporal: _BusyTemporal, longest_break: float = 1.0) -> Starter:
    return Starter(cast("Client", temporal), public_url="http://127.0.0.1", longest_break=longest_break)


def _pending(kind: NotificationType) -> PendingStart:
    return PendingStart(uuid4(), kind, "a.definition", "")


async def _settled() -> None:
    """Everything that can go on without an answer has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_flood_of_one_type_takes_no_others_turn() -> None:
    temporal = _BusyTemporal()
    starter = _starter(temporal)
    flood = [_PROMOTIONAL] * 200 + [_TRANSACTIONAL] * 200
    tasks = [asyncio.create_task(starter.start(_pending(kind))) for kind in flood]
    await _settled()
    tasks.append(asyncio.create_task(starter.start(_pending(_ALERT))))
    await _settled()
    assert Counter(temporal.asked) == {_PROMOTIONAL: 1, _TRANSACTIONAL: 50, _ALERT: 1}
    temporal.answers.set()
    await asyncio.gather(*tasks)
    assert len(temporal.asked) == 401


async def test_offers_start_one_by_one_with_a_break_as_long_as_a_start() -> None:
    temporal = _BusyTemporal(0.05)
    starter = _starter(temporal)
    await asyncio.gather(*(starter.start(_pending(_PROMOTIONAL)) for _ in range(4)))
    pairs = zip(temporal.ended, temporal.began[1:], strict=False)
    assert [following - end >= 0.045 for end, following in pairs] == [True] * 3


async def test_a_start_that_waited_for_an_outage_does_not_have_offers_wait_as_long_again() -> None:
    temporal = _BusyTemporal()
    starter = _starter(temporal, longest_break=0.0)
    tasks = [asyncio.create_task(starter.start(_pending(_PROMOTIONAL))) for _ in range(4)]
    await asyncio.sleep(0.5)  # the outage
    temporal.answers.set()
    await _settled()
    assert len(temporal.asked) == 4
    await asyncio.gather(*tasks)
