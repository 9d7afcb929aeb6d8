"""CPU seconds of whole process trees, and of the machine, as Linux counts them in /proc."""

import os
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_OWN = "benchmark"  # this process alone: the others are its children


@dataclass(frozen=True)
class Reading:
    """`by_process` and `machine` in CPU seconds since some point in the past, `at` in seconds of a monotonic clock."""

    at: float
    by_process: Mapping[str, float]
    machine: float


@dataclass(frozen=True)
class Usage:
    """What happened between two readings; `foreign_cores` is what everything else on the machine kept busy."""

    seconds: float
    by_process: Mapping[str, float]
    busy_cores: float
    foreign_cores: float


def read(processes: Mapping[str, int]) -> Reading:
    """CPU of each named process with its children, living and reaped, and of this one."""
    used: dict[int, int] = {}
    children: dict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            used[int(folder.name)] = sum(map(int, fields[11:15]))  # utime, stime, cutime, cstime: proc(5)
            children[int(fields[1])].append(int(folder.name))

    def whole(pid: int) -> int:
        return used.get(pid, 0) + sum(map(whole, children[pid]))

    by_process = {name: whole(pid) / _TICKS for name, pid in processes.items()}
    first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    user, nice, system, _idle, _wait, irq, softirq = map(int, first[1:8])
    machine = (user + nice + system + irq + softirq) / _TICKS
    return Reading(time.monotonic(), by_process | {_OWN: time.process_time()}, machine)


def usage(before: Reading, after: Reading) -> Usage:
    """What was used from one reading of the same processes to a later one."""
    seconds = after.at - before.at
    by_process = {name: after.by_process[name] - before.by_process[name] for name in after.by_process}
    ours = sum(by_process.values())
    return Usage(
        seconds, by_process, busy_cores=ours / seconds, foreign_cores=(after.machine - before.machine - ours) / seconds
    )


def per_thousand(usages: list[Usage], items: int) -> dict[str, float]:
    """CPU seconds per 1,000 items of each process over several stretches, the dearest first."""
    totals: dict[str, float] = defaultdict(float)
    for one in usages:
        for name, seconds in one.by_process.items():
            totals[name] += seconds
    ordered = sorted(totals.items(), key=lambda pair: -pair[1])
    return {name: round(seconds / items * 1000, 2) for name, seconds in ordered}
