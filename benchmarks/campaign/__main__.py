"""What campaigns cost: `python -m benchmarks.campaign [--recipients N] [--json FILE]`.

A campaign of e-mails goes through the API, its workflows, the ledger with all its checks, and two worker processes, to
a receiving server on loopback. The measure is a loop over aiohttp in two processes that renders the same mails and
posts them, and gives no guarantee at all; and the same loop over Tidings' own HTTP client. They take turns; the
receiver answers at once in one part and after 50 ms in the other, and says what came: lost and doubled mails are
counted there, by their keys. CPU is that of all processes, the servers' included. Only ratios within one run are worth
stating, and only where `foreign_cores` are about 0.

`--grow` sends one campaign each of 10,000 and 1,000,000 (or `--recipients`) instead, and compares their CPU and memory.
`--latency` sends one-time codes at 10 a second, alone and beside a campaign. Needs Linux.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.campaign.house import House, running_house
from benchmarks.campaign.latency import beside_campaign
from benchmarks.campaign.rows import Bench, Row, row_cpu, summary

DELAYS = (0, 50)  # milliseconds
SMALL, LARGE = 10_000, 1_000_000
WARM_UP = 2_000
CALLS_AT_ONCE = 200  # of each process


async def contend(bench: Bench, recipients: int, rounds: int, delays: Sequence[int]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for delay in delays:
        rows: dict[str, list[Row]] = {"bare": [], "bare_over_our_client": [], "tidings": []}
        for number in range(1, rounds + 1):
            rows["bare"].append(await bench.bare(recipients, delay))
            rows["bare_over_our_client"].append(await bench.bare(recipients, delay, by="own"))
            rows["tidings"].append(await bench.tidings(recipients, delay))
            pace = {name: round(found[-1].per_second) for name, found in rows.items()}
            print(f"{delay} ms, round {number} of {rounds}: {pace} a second", file=sys.stderr)
        report[f"{delay}_ms"] = {name: summary(found) for name, found in rows.items()} | {
            f"ratio_to_{name}": ratio(rows["tidings"], rows[name]) for name in rows if name != "tidings"
        }
    return report


def ratio(ours: Sequence[Row], theirs: Sequence[Row]) -> dict[str, float]:
    """Of neighbours in time, their median and range."""
    found = [one.per_second / other.per_second for one, other in zip(ours, theirs, strict=True)]
    return {name: round(of(found), 2) for name, of in (("median", statistics.median), ("least", min), ("most", max))}


async def grow(bench: Bench, large: int) -> dict[str, Any]:
    """What one of many costs beside one of few."""
    rows = [await bench.tidings(SMALL, 0), await bench.tidings(large, 0), await bench.tidings(SMALL, 0)]
    few = statistics.mean(row_cpu(rows[at]) for at in (0, 2)) / SMALL
    most, before = rows[1].most_memory, rows[0].most_memory
    return {
        "few": summary([rows[0], rows[2]]),
        "many": summary([rows[1]]),
        "cpu_of_one_of_many_to_one_of_few": round(row_cpu(rows[1]) / large / few, 2),
        "memory_of_many_to_few": {name: round(most[name] / before[name], 2) for name in most},
    }


async def measure(house: House, arguments: argparse.Namespace) -> dict[str, Any]:
    bench = Bench(house)
    await bench.bare(WARM_UP, 0)
    await bench.tidings(WARM_UP, 0)
    if arguments.grow:
        return await grow(bench, arguments.recipients)
    if arguments.latency:
        return await beside_campaign(house, bench, arguments.recipients)
    return await contend(bench, arguments.recipients, arguments.rounds, arguments.delays)


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    people = max(arguments.recipients, SMALL)
    async with running_house(people, arguments.calls) as house:
        playing = asyncio.create_task(measure(house, arguments))
        over = asyncio.create_task(house.stack.wait())
        await asyncio.wait({playing, over}, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            playing.cancel()
            await over
            sys.exit("interrupted")
        over.cancel()
        found = await playing
    await asyncio.sleep(0.1)  # the SDK's threads crash an interpreter that exits at once
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "calls_at_once_per_process": arguments.calls,
        "rounds": arguments.rounds,
        **found,
    }


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipients", type=int, metavar="N", help="of each campaign (20,000; with --grow 1,000,000)")
    parser.add_argument("--rounds", type=int, default=3, help="campaigns of each contender and delay")
    parser.add_argument("--delays", type=int, nargs="+", default=DELAYS, metavar="MS", help="of the receiver")
    parser.add_argument("--calls", type=int, default=CALLS_AT_ONCE, help="at once, of each process of both contenders")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--grow", action="store_true", help="a small campaign against a large one")
    what.add_argument("--latency", action="store_true", help="one-time codes beside a campaign")
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    if arguments.recipients is None:
        arguments.recipients = LARGE if arguments.grow else 100_000 if arguments.latency else 20_000
    return arguments


def main() -> None:
    arguments = parsed()
    report = uvloop.run(run(arguments))
    print(json.dumps(report, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
