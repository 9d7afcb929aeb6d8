"""Bulk workers give way to the others. Real processes, for a niceness cannot be taken back."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from tests.support.programs import eventually
from worker.priority import BULK_NICENESS

_PROGRAM = """
import os
from pathlib import Path
from worker.priority import give_way

group = Path("/proc/self/autogroup")
before = group.read_text()
give_way()
print(os.nice(0), before, group.read_text(), sep="|", end="")
"""
_AUTOGROUP = Path("/proc/self/autogroup")
_LOWERED = min(os.nice(0) + BULK_NICENESS, 19)


@pytest.mark.skipif(not _AUTOGROUP.exists(), reason="a kernel without autogroups")
@pytest.mark.parametrize("own", [True, False])
async def test_only_a_session_of_its_own_gives_way_as_a_whole(*, own: bool):
    """Else whatever else was started from the same terminal would be slower too.

    The first session of a machine is in no autogroup, and the file empty.
    """
    command = (sys.executable, "-c", _PROGRAM)
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, start_new_session=own)
    out, _ = await process.communicate()
    niceness, before, after = out.decode().split("|")
    assert int(niceness) == _LOWERED
    if own and before:
        assert after.split()[-1] == str(BULK_NICENESS)
    else:
        assert after == before


@pytest.mark.parametrize(
    ("roles", "gives_way"), [("bulk", True), ("email", False), ("bulk,email", False)], ids=["bulk", "email", "both"]
)
async def test_who_sends_nothing_urgent_gives_way(*, roles: str, gives_way: bool, tmp_path: Path):
    command = (sys.executable, "-m", "tidings", "worker", "--roles", roles)
    nowhere = {**os.environ, "TIDINGS_DATABASE_URL": "postgresql://postgres@127.0.0.1:1/postgres"}
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command, env=nowhere, stdin=DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        await eventually(lambda: "server.unavailable" in log.read_text(), seconds=30)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == (_LOWERED if gives_way else os.nice(0))
    finally:
        process.terminate()
        await process.wait()
