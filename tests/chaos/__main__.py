"""`python -m tests.chaos`: strike, account, print; status 1 when a promise was broken."""

import argparse
import asyncio
import fnmatch
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from tests.chaos.every_fault import FAULTS, AnyFault, play
from tests.chaos.row import Row
from tests.chaos.table import cells, markdown, table
from tests.chaos.world import running_world

_console = Console(highlight=False, width=160)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each fault")
    parser.add_argument("--fault", default="*", help="names, as a pattern: worker-kill, 'kafka-*'")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--markdown", type=Path, help="write a table with a row per fault to this file")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    wanted = parser.parse_args()
    faults = [fault for fault in FAULTS if fnmatch.fnmatch(fault.name, wanted.fault)]
    if wanted.list:
        _console.print("\n".join(fault.name for fault in FAULTS))
        return 0
    if not faults:
        parser.error(f"no fault is called {wanted.fault}; --list names them")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # that a server is down is no news here
    rows = asyncio.run(_play_all(faults, wanted.seeds))
    _console.print(table(rows))
    if wanted.json:
        wanted.json.write_text(json.dumps([row.document() for row in rows], indent=2, default=str) + "\n")
    if wanted.markdown:
        wanted.markdown.write_text(markdown(rows))
    wrong = [f"{row.fault}, seed {row.seed}: {what}" for row in rows for what in row.wrong]
    for line in wrong:
        _console.print(f"[red]✗[/red] {line}")
    return 1 if wrong else 0


async def _play_all(faults: Sequence[AnyFault], seeds: int) -> list[Row]:
    rows = []
    async with running_world() as world:
        for seed in range(1, seeds + 1):
            for fault in faults:
                rows.append(await play(world, fault, seed))
                _console.print("  ".join(cells(rows[-1])), f"({rows[-1].seconds:.0f} s)", *rows[-1].wrong)
    return rows


if __name__ == "__main__":
    sys.exit(main())
