"""Workers of one parent: what becomes of the others, and of the parent, when one of them ends. Real processes."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.programs import eventually

# A child writes a line with its number and process id, then waits for SIGTERM or for its parent's death.
_PROGRAM = """
import os, select, signal, sys
from pathlib import Path
from worker.family import Family

def work(place):
    with Path(sys.argv[1]).open("a") as lines:
        lines.write(f"{place.number} {os.getpid()}\\n")
    if sys.argv[2].startswith("exit"):
        return int(sys.argv[2][4:])
    reading, writing = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(writing, b"x"))
    found, _, _ = select.select([reading, place.lifeline], [], [])
    if place.lifeline in found:
        Path(sys.argv[1] + f".orphan-{place.number}").touch()
    return 3 if sys.argv[2] == "stubborn" else 0

sys.exit(Family(2, work, first_break=float(sys.argv[3])).run())
"""
_ROOT = Path(__file__).resolve().parents[2]


class Parent:
    def __init__(self, process: asyncio.subprocess.Process, lines: Path) -> None:
        self.process = process
        self._lines = lines

    def begun(self) -> list[tuple[int, int]]:
        """Number and process id of each child so far, in order."""
        if not self._lines.exists():
            return []
        pairs = (line.split() for line in self._lines.read_text().splitlines())
        return [(int(number), int(pid)) for number, pid in pairs]

    async def until_begun(self, count: int) -> list[tuple[int, int]]:
        await eventually(lambda: len(self.begun()) >= count, seconds=30)
        return self.begun()

    async def end(self) -> int:
        async with asyncio.timeout(30):
            return await self.process.wait()


@asynccontextmanager
async def parent(tmp_path: Path, manner: str = "waits", first_break: float = 0.05) -> AsyncIterator[Parent]:
    lines = tmp_path / "lines"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, str(lines), manner, str(first_break), cwd=_ROOT
    )
    found = Parent(process, lines)
    try:
        yield found
    finally:
        for pid in [process.pid] * (process.returncode is None) + [pid for _, pid in found.begun()]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await process.wait()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="reads /proc")


async def test_a_killed_child_is_started_again_in_its_place_and_the_other_stays(tmp_path: Path):
    async with parent(tmp_path) as family:
        first = dict(await family.until_begun(2))
        os.kill(first[1], signal.SIGKILL)
        number, pid = (await family.until_begun(3))[2]
        assert number == 1
        assert pid != first[1]
        assert is_alive(first[0])
        family.process.terminate()
        assert await family.end() == 0
        assert not is_alive(first[0])
        assert not is_alive(pid)
        assert len(family.begun()) == 3


@pytest.mark.parametrize(("manner", "status"), [("waits", 0), ("stubborn", 1)])
async def test_being_told_to_stop_is_passed_on_and_the_worst_end_is_told(tmp_path: Path, manner: str, status: int):
    async with parent(tmp_path, manner) as family:
        children = await family.until_begun(2)
        family.process.send_signal(signal.SIGTERM)
        assert await family.end() == status
        assert not any(is_alive(pid) for _, pid in children)


async def test_children_of_a_killed_parent_notice_and_end(tmp_path: Path):
    async with parent(tmp_path) as family:
        children = await family.until_begun(2)
        family.process.kill()
        await family.process.wait()
        await eventually(lambda: not any(is_alive(pid) for _, pid in children), seconds=30)
    orphans = sorted(path.name for path in await asyncio.to_thread(lambda: list(tmp_path.glob("*.orphan-*"))))
    assert orphans == ["lines.orphan-0", "lines.orphan-1"]


async def test_what_no_other_try_mends_ends_all(tmp_path: Path):
    async with parent(tmp_path, f"exit{os.EX_CONFIG}") as family:
        assert await family.end() == 1
        assert len(family.begun()) <= 2


async def test_children_that_die_again_and_again_are_started_later_and_later(tmp_path: Path):
    async with parent(tmp_path, "exit1", first_break=0.05) as family:
        await family.until_begun(8)
        family.process.terminate()
        await family.end()
    (tmp_path / "other").mkdir()
    async with parent(tmp_path / "other", "exit1", first_break=25.0) as patient:
        await asyncio.wait_for(patient.until_begun(2), 30)
        patient.process.terminate()
        async with asyncio.timeout(10):  # the break is not waited for
            await patient.end()
