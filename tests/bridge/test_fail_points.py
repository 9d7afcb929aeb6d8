"""The process dies between two steps: after the restart there is exactly one workflow for each event."""

import asyncio
import sys
from pathlib import Path

import pytest

from notifications.ids import event_uuid
from tests.bridge.dying import DIED
from tests.bridge.running import Bench, eventually
from tests.support.events import event

_ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.real_kafka  # the built-in cluster keeps a dead member's partitions for longer than a test should wait
@pytest.mark.parametrize(
    ("step", "has_run"),
    [
        pytest.param("stored", False, id="between the intake commit and the start"),
        pytest.param("started", True, id="between the start and started_at"),
        pytest.param("marked", True, id="between started_at and the offset commit"),
    ],
)
async def test_one_workflow_each(bench: Bench, temporal_address: str, step: str, *, has_run: bool) -> None:
    sent = [event() for _ in range(5)]
    for one in sent:
        await bench.send(one, key="one-partition")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bridge.dying", step, bench.bootstrap, bench.database_url, temporal_address),
        cwd=_ROOT,
    )
    try:
        assert await asyncio.wait_for(process.wait(), 90) == DIED
    finally:
        if process.returncode is None:
            process.kill()
    first = await bench.row(sent[0])
    assert first is not None
    assert (first.started_at is not None) is (step == "marked")
    assert await bench.has_workflow(sent[0]) is has_run
    assert await bench.lag() > 0
    async with bench.bridge():
        for one in sent:
            await eventually(lambda one=one: bench.started(one), within=60)
        await bench.caught_up()
    for one in sent:
        runs = await eventually(lambda one=one: bench.runs(event_uuid(one["source"], one["id"])))
        assert len(runs) == 1
