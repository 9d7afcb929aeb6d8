"""Does trouble stay where it is: `python -m benchmarks.isolation [SCENARIO ...] [--scale 0.1] [--json FILE]`.

The whole stack with real processes and sandbox providers, started for this alone. Each scenario is a row, with the
calm stretches of the same run as its measure; only their ratios are worth stating, and only where `foreign_cores`, what
else kept the machine busy, was the same in both. Memory is the proportional set size. Needs Linux. At full scale all of
it takes about half an hour, with `--scale 0.1` a few minutes.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.isolation.bench import Bench, running_bench
from benchmarks.isolation.scenarios import SCENARIOS, Finding, Size, measured_pace
from benchmarks.isolation.watch import Seen, watching

OURS = ("api", "bridge", "orchestrator", "channels", "bulk")


async def play(bench: Bench, name: str, size: Size) -> dict[str, Any]:
    print(f"{name} ...", file=sys.stderr)
    begun = time.monotonic()
    async with watching(bench) as seen:
        finding = await SCENARIOS[name](bench, size)
    return {"seconds": round(time.monotonic() - begun, 1), **document(finding, seen)}


def document(finding: Finding, seen: Seen) -> dict[str, Any]:
    memory = {
        name: {"before": seen.before[name], "most": seen.most[name], "after": seen.after[name]} for name in seen.before
    }
    return {
        "checks": [
            {"what": check.what, "value": check.value, "bound": check.bound, "holds": check.holds}
            for check in finding.checks
        ],
        "most_lag": seen.most_lag,
        "pss_mb": memory,
        **finding.figures,
    }


async def play_all(bench: Bench, names: list[str], scale: float) -> tuple[float, dict[str, Any]]:
    """The pace of the probes, and each scenario's row."""
    pace = await measured_pace(bench)
    return pace, {name: await play(bench, name, Size(scale, pace)) for name in names}


async def run(names: list[str], scale: float) -> dict[str, Any]:
    async with running_bench() as bench:
        playing = asyncio.create_task(play_all(bench, names, scale))
        over = asyncio.create_task(bench.stack.wait())
        await asyncio.wait({playing, over}, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            playing.cancel()
            await over
            sys.exit("interrupted")
        over.cancel()
        pace, rows = await playing
    await asyncio.sleep(0.1)  # the SDK's threads crash an interpreter that exits at once
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "scale": scale,
        "probes_per_second": pace,
        "scenarios": rows,
    }


def show(report: dict[str, Any]) -> None:
    table = Table("scenario", "what", "value", "bound", "")
    for name, row in report["scenarios"].items():
        for check in row["checks"]:
            table.add_row(
                name, check["what"], f"{check['value']:g}", f"{check['bound']:g}", "✓" if check["holds"] else "✗"
            )
        grown = {process: row["pss_mb"][process] for process in OURS if process in row["pss_mb"]}
        memory = ", ".join(
            f"{process} {mb['before']:.0f}→{mb['most']:.0f}→{mb['after']:.0f}" for process, mb in grown.items()
        )
        table.add_row(name, f"MB before, at most, after: {memory}", "", "", "")
        table.add_row(name, f"most records behind: {row['most_lag']:g}; took {row['seconds']:g} s", "", "", "")
        table.add_section()
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; none: all")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of events (1: as stated)")
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    unknown = set(arguments.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"no scenario {', '.join(sorted(unknown))}: there are {', '.join(SCENARIOS)}")
    report = asyncio.run(run(arguments.scenarios or list(SCENARIOS), arguments.scale))
    show(report)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
