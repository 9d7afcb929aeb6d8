"""A cancel by key applies whether it comes before or after its event, and its workflow is told."""

from typing import Any

from temporalio.api.enums.v1 import EventType

from tests.bridge.running import Bench, eventually
from tests.support.events import cancel, event, unique


async def _signals(bench: Bench, row: Any) -> list[str]:
    history = await bench.client.get_workflow_handle(f"notification-{row.id}").fetch_history()
    signalled = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    return [
        one.workflow_execution_signaled_event_attributes.signal_name
        for one in history.events
        if one.event_type == signalled
    ]


async def test_cancels_in_both_orders(bench: Bench) -> None:
    after, before = unique("key"), unique("key")
    first = event(cancelkey=after, sendat="2099-01-01T00:00:00Z")
    second = event(cancelkey=before, sendat="2099-01-01T00:00:00Z")
    spared = event(cancelkey=after, time="2026-11-23T00:00:00Z")
    async with bench.bridge():
        await bench.send(cancel(before, time="2026-11-22T12:00:00Z"))
        for one in (first, second, spared):
            await bench.send(one)
            await eventually(lambda one=one: bench.started(one))
        await bench.send(cancel(after, time="2026-11-22T12:00:00Z"), "alert.notifications")

        async def cancelled() -> bool:
            rows = [await bench.row(one) for one in (first, second)]
            return all(row.cancelled_at is not None for row in rows)

        await eventually(cancelled)
        row = await bench.row(first)
        await eventually(lambda: _signals(bench, row), what="the cancel signal")
    assert (await bench.row(spared)).cancelled_at is None
    assert (await bench.row(second)).status == "cancelled"
