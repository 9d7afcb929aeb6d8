"""What fails is tried again until it works, and said for exactly as long."""

import asyncio

import pytest
from structlog.testing import capture_logs

from bridge.readiness import Patience, Readiness, StoppedError


class _Flaky:
    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionError("Key (email)=(ana@example.org)")
        return "done"


async def test_it_goes_on_until_it_works_and_says_so_meanwhile() -> None:
    readiness, flaky = Readiness(), _Flaky(2)
    patience = Patience(readiness, asyncio.Event(), owner="tidings-urgent")
    with capture_logs() as logs:
        task = asyncio.create_task(patience.until_done("postgres", flaky))
        while not patience.is_tried:
            await asyncio.sleep(0)
        assert readiness.problems() == {"postgres (tidings-urgent)": "ConnectionError"}
        assert await task == "done"
    assert (readiness.problems(), patience.is_tried, flaky.calls) == ({}, False, 3)
    assert [entry["event"] for entry in logs] == ["bridge.trouble", "bridge.well"]
    assert "ana@example.org" not in str(logs)


async def test_a_part_is_well_only_when_all_who_wait_for_it_are_done() -> None:
    readiness = Readiness()
    patience = Patience(readiness, (stopping := asyncio.Event()), owner="x")
    quick = asyncio.create_task(patience.until_done("postgres", _Flaky(1)))
    never = asyncio.create_task(patience.until_done("postgres", _Flaky(1_000)))
    await quick
    assert patience.is_tried
    assert readiness.problems()
    stopping.set()
    with pytest.raises(StoppedError):
        await never
    assert not patience.is_tried


async def test_expected_is_not_ready_but_no_trouble() -> None:
    readiness = Readiness()
    with capture_logs() as logs:
        readiness.expect("temporal", "not connected yet")
    assert readiness.problems() == {"temporal": "not connected yet"}
    assert logs == []
