"""Small programs for tests of processes, and who is still alive."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


async def eventually(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    """Wait until it holds.

    Raises:
        AssertionError: it does not within the bound.

    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.02)


def command_lines() -> list[str]:
    """The whole command line of every process of the machine, zombies left out."""
    listing = subprocess.run(["ps", "-ewwo", "stat=,args="], capture_output=True, text=True, check=True).stdout
    lines = (line.split(None, 1) for line in listing.splitlines())
    return [parts[1] for parts in lines if len(parts) == 2 and not parts[0].startswith("Z")]


def anyone_with(text: str) -> bool:
    """Whether a process has the text in its command line."""
    return any(text in line for line in command_lines())


async def start_program(source: str, *arguments: str) -> asyncio.subprocess.Process:
    """A Python program with our modules at hand; its output is a pipe."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        source,
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


async def read_line(program: asyncio.subprocess.Process) -> str:
    assert program.stdout is not None
    return (await asyncio.wait_for(program.stdout.readline(), 60)).decode().strip()


async def sigkill(program: asyncio.subprocess.Process) -> None:
    program.send_signal(signal.SIGKILL)
    await program.wait()
    if program.stdout is not None:
        await program.stdout.read()
