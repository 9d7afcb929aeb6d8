"""What a single notification costs beside a bare workflow: `python -m benchmarks.single [--json FILE]`.

Events of one text message each go through Kafka, the bridge, a workflow and one send with its ledger to a sandbox
provider. The measure is a workflow with one empty activity on the same Temporal server: the same cores, the same number
of worker processes (one for workflows, one for activities), started by this process as the bridge starts ours. The two
take turns, and only the ratio of their medians is worth stating. Both count a workflow once Temporal lists it as
completed. Takes about two minutes and needs Linux.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import uvloop
from temporalio.client import Client

from activities.temporal import DATA_CONVERTER
from benchmarks._bare import BARE_WORKFLOWS, BareWorkflow
from benchmarks._processes import Usage, per_thousand, read, usage
from benchmarks._stack import (
    TOPIC,
    benchmark_stack,
    event_ids,
    event_producer,
    message_of,
    one_time_code,
    processes,
    produce,
    recipient_of,
)
from bridge.producer import EventProducer
from devstack.processes import Command
from devstack.state import ROOT
from devstack.supervisor import Stack

CONCURRENT_STARTS = 50  # as the bridge
LOOK_EVERY = 0.1  # seconds
LATENCY_RATE = 10  # a second
WARM_UP = 60


class Contest:
    """The two contenders on one stack; each block takes one of them from the first start to the last completion."""

    def __init__(self, stack: Stack, client: Client, producer: EventProducer, pids: dict[str, int]) -> None:
        self._client = client
        self._producer = producer
        self._pids = pids
        self._sandbox = stack.endpoints.sandbox

    async def tidings(self, count: int) -> Usage:
        return await self._block("NotificationWorkflow", count, lambda: produce(self._producer, event_ids(count)))

    async def bare(self, count: int) -> Usage:
        slots = asyncio.Semaphore(CONCURRENT_STARTS)

        async def start(workflow_id: str) -> None:
            async with slots:
                await self._start_bare(workflow_id)

        async def start_all() -> None:
            await asyncio.gather(*map(start, event_ids(count)))

        return await self._block("BareWorkflow", count, start_all)

    async def _block(self, workflow_type: str, count: int, begin: Callable[[], Awaitable[None]]) -> Usage:
        expected = await self._completed(workflow_type) + count
        before = read(self._pids)
        await begin()
        while await self._completed(workflow_type) < expected:  # noqa: ASYNC110 - the server tells only when asked
            await asyncio.sleep(LOOK_EVERY)
        return usage(before, read(self._pids))

    async def _completed(self, workflow_type: str) -> int:
        query = f"WorkflowType = '{workflow_type}' AND ExecutionStatus = 'Completed'"
        return (await self._client.count_workflows(query)).count

    async def _start_bare(self, workflow_id: str) -> None:
        await self._client.start_workflow(BareWorkflow.run, id=f"bare-{workflow_id}", task_queue=BARE_WORKFLOWS)

    async def tidings_latencies(self, count: int) -> list[float]:
        """Milliseconds from the producing of an event to its arrival at the provider."""
        ids, begun = event_ids(count), {}
        async with httpx.AsyncClient(base_url=self._sandbox, timeout=30) as http:
            await http.delete("/api/inbox")
            for number, event_id in enumerate(ids):
                recipient = recipient_of(number)
                begun[message_of(event_id)] = time.time()
                await self._producer.produce(TOPIC, recipient, one_time_code(event_id, recipient))
                await self._pace(begun[message_of(event_id)])
            arrived: dict[str, float] = {}
            while len(arrived) < count:
                await asyncio.sleep(LOOK_EVERY)
                items = (await http.get("/api/inbox", params={"limit": count + 100})).json()["items"]
                arrived = {item["key"]: datetime.fromisoformat(item["received_at"]).timestamp() for item in items}
        return [(arrived[key] - began) * 1000 for key, began in begun.items()]

    async def bare_latencies(self, count: int) -> list[float]:
        """Milliseconds from the start of a workflow to the beginning of its activity."""
        begun = {}
        for workflow_id in event_ids(count):
            begun[workflow_id] = time.time()
            await self._start_bare(workflow_id)
            await self._pace(begun[workflow_id])
        ends = [await self._client.get_workflow_handle(f"bare-{each}", result_type=float).result() for each in begun]
        return [(end - began) * 1000 for end, began in zip(ends, begun.values(), strict=True)]

    async def _pace(self, began: float) -> None:
        await asyncio.sleep(max(0.0, began + 1 / LATENCY_RATE - time.time()))

    async def accepted(self) -> dict[str, Any]:
        """The provider's own count of what it accepted since the inbox was emptied."""
        async with httpx.AsyncClient(base_url=self._sandbox) as http:
            totals: dict[str, Any] = (await http.get("/api/inbox/count")).json()
        return totals


def throughput(blocks: Sequence[Usage], count: int) -> dict[str, Any]:
    rates = [count / block.seconds for block in blocks]
    return {
        "per_second": round(statistics.median(rates), 1),
        "per_second_range": [round(min(rates), 1), round(max(rates), 1)],
        "cpu_seconds_per_1000": per_thousand(list(blocks), count * len(blocks)),
        "busy_cores": round(statistics.median(block.busy_cores for block in blocks), 2),
        "foreign_cores": round(statistics.median(block.foreign_cores for block in blocks), 2),
    }


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=100)
    return {"p50": round(cuts[49], 1), "p99": round(cuts[98], 1)}


async def bare_workers(stack: Stack) -> dict[str, int]:
    """Start them; returns their process ids."""
    pids = {}
    for what in ("workflows", "activities"):
        argv = (sys.executable, "-m", "benchmarks._bare_worker", what, stack.endpoints.temporal)
        process = await stack.spawner.start(Command(name=f"bare-{what}", argv=argv, cwd=ROOT))
        pids[process.name] = process.pid
    return pids


async def contend(contest: Contest, count: int, rounds: int, seconds: int) -> dict[str, Any]:
    await contest.bare(WARM_UP)
    await contest.tidings(WARM_UP)
    blocks: dict[str, list[Usage]] = {"bare": [], "tidings": []}
    latencies: dict[str, list[float]] = {"bare": [], "tidings": []}
    for number in range(1, rounds + 1):
        blocks["bare"].append(await contest.bare(count))
        blocks["tidings"].append(await contest.tidings(count))
        print(f"round {number} of {rounds}", file=sys.stderr)
    asked = seconds * LATENCY_RATE
    latencies["bare"] = await contest.bare_latencies(asked)
    latencies["tidings"] = await contest.tidings_latencies(asked)
    totals = await contest.accepted()
    assert (totals["accepted"], totals["duplicated_keys"]) == (asked, 0), totals
    report: dict[str, Any] = {name: throughput(found, count) for name, found in blocks.items()}
    for name, found in latencies.items():
        report[name][f"latency_ms_at_{LATENCY_RATE}_per_second"] = percentiles(found)
    return report | {"ratio_to_bare": round(report["tidings"]["per_second"] / report["bare"]["per_second"], 2)}


async def run(count: int, rounds: int, seconds: int) -> dict[str, Any]:
    async with benchmark_stack() as stack:
        client = await Client.connect(stack.endpoints.temporal, data_converter=DATA_CONVERTER)
        pids = processes(stack) | await bare_workers(stack)
        async with event_producer(stack) as producer:
            found = await contend(Contest(stack, client, producer, pids), count, rounds, seconds)
    await asyncio.sleep(0.1)  # the SDK's threads crash an interpreter that exits at once
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "notifications_per_block": count,
        "rounds": rounds,
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--notifications", type=int, default=300, metavar="N", help="of each block")
    parser.add_argument("--rounds", type=int, default=3, help="blocks of each contender")
    parser.add_argument("--seconds", type=int, default=15, help="how long the latency is looked at")
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    report = uvloop.run(run(arguments.notifications, arguments.rounds, arguments.seconds))
    print(json.dumps(report, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
