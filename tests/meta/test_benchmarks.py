"""Benchmarks are asked in one way."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


async def _refusal(name: str) -> str:
    """What one says to `--json` without a file."""
    command = (sys.executable, "-m", f"benchmarks.{name}", "--json", "--help")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=DEVNULL, stderr=PIPE)
    _, errors = await process.communicate()
    return errors.decode() if process.returncode else ""


async def test_the_figures_as_json_need_no_file() -> None:
    """Then they are on standard output alone."""
    names = ("campaign", "single", "intake", "email", "ledger")
    refusals = await asyncio.gather(*(_refusal(name) for name in names))
    assert dict(zip(names, refusals, strict=True)) == dict.fromkeys(names, "")
