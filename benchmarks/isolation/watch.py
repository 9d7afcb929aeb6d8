"""What goes on while a scenario runs: how much memory each process takes, and how much waits in Kafka."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.isolation.bench import Bench

_EVERY = 2.0  # seconds


def memory(pids: Mapping[str, int]) -> dict[str, float]:
    """Proportional set size in MB of each process with its children; empty where the system has no /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(stat.parent.name))

    def whole(pid: int) -> float:
        return _proportional(pid) + sum(whole(child) for child in children.get(pid, ()))

    return {name: round(whole(pid), 1) for name, pid in pids.items()} if children else {}


def _proportional(pid: int) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    return 0.0


@dataclass
class Seen:
    """`before` and `after` in MB by process, `most_lag` in records."""

    before: dict[str, float]
    after: dict[str, float] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)
    most_lag: float = 0.0


@asynccontextmanager
async def watching(bench: Bench) -> AsyncIterator[Seen]:
    seen = Seen(memory(bench.pids))
    task = asyncio.create_task(_watch(bench, seen))
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    seen.after = memory(bench.pids)


async def _watch(bench: Bench, seen: Seen) -> None:
    while True:
        now = await asyncio.to_thread(memory, bench.pids)
        seen.most = {name: max(now[name], seen.most.get(name, 0.0)) for name in now}
        with contextlib.suppress(httpx.HTTPError):
            seen.most_lag = max(seen.most_lag, await bench.lag())
        await asyncio.sleep(_EVERY)
