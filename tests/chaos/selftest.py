"""`python -m tests.chaos.selftest`: take a safeguard out, and see that the harness notices; status 1 if it does not."""

import argparse
import asyncio
import os
import sys
from pathlib import Path

from rich.console import Console

from tests.chaos.every_fault import named, play
from tests.chaos.row import Row
from tests.chaos.table import cells
from tests.chaos.world import running_world

# The fault that the safeguard is there for.
FAULT_FOR = {
    "fence": "two-workers",
    "claim": "bulk-kill",
    "order": "bridge-stalled-kill",
    "epoch": "campaign-two-tries",
    "window": "campaign-two-tries",
}
_SEEDS = 3
_console = Console(highlight=False, width=160)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.selftest", description=__doc__)
    parser.add_argument("--without", choices=sorted(FAULT_FOR), action="append", help="only this safeguard")
    wanted = parser.parse_args()
    caught = [asyncio.run(is_caught(safeguard)) for safeguard in wanted.without or FAULT_FOR]
    return 0 if all(caught) else 1


async def is_caught(safeguard: str) -> bool:
    """Play its fault with up to three seeds."""
    fault = named(FAULT_FOR[safeguard])
    os.environ["PYTHONPATH"] = str(Path(__file__).parent / "sabotage")
    os.environ["TIDINGS_CHAOS_SABOTAGE"] = safeguard
    async with running_world() as world:
        for seed in range(1, _SEEDS + 1):
            row = await play(world, fault, seed)
            _console.print(f"  without the {safeguard}, seed {seed}:", "  ".join(cells(row)))
            broken = broken_promises(row)
            if broken:
                _console.print(f"✓ without the {safeguard}, {fault.name} shows: {'; '.join(broken[:3])}")
                return True
    _console.print(f"✗ without the {safeguard}, {fault.name} went unnoticed with {_SEEDS} seeds")
    return False


def broken_promises(row: Row) -> list[str]:
    """What was lost or came silently twice; a slow recovery proves nothing."""
    account = row.account
    return row.account.wrong if account.lost or account.forbidden else []


if __name__ == "__main__":
    sys.exit(main())
