"""Nothing outlives its supervisor, however that ends."""

import asyncio
import os
import signal
import sys
import uuid

import pytest

from devstack.processes import Command, GuardedProcess, Spawner, StackError
from tests.support.programs import anyone_with, eventually, read_line, sigkill, start_program
from tests.support.servers import server_folder

# A process that leaves a child of its own behind; both carry the marker in their command line.
FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)", sys.argv[1]])
print("up", flush=True)
time.sleep(300)
"""
SUPERVISOR = """
import asyncio, sys
from devstack.processes import Command, Spawner

async def main():
    spawner = Spawner(lambda name, line: print(line, flush=True))
    await spawner.start(Command(name="family", argv=(sys.executable, "-c", sys.argv[1], sys.argv[2])))
    await asyncio.Event().wait()

asyncio.run(main())
"""
UNDER_UVLOOP = """
import os, sys
import uvloop
from devstack.processes import Command, Spawner

async def main():
    lines = []
    program = "import os; print(os.environ['WORD'])"
    process = await Spawner(lambda name, line: lines.append(line)).start(
        Command(name="reader", argv=(sys.executable, "-c", program), env=os.environ)
    )
    await process.wait()
    print(*lines, flush=True)

os.environ["WORD"] = "told"
uvloop.run(main())
"""
# The real servers; the first line of output of any of them comes while all are starting.
STARTING_STACK = """
import asyncio, os, sys
from pathlib import Path
from devstack.ports import DEFAULT_PORTS, free_ports
from devstack.processes import Spawner
from devstack.servers import Servers
from devstack.steps import run_steps

async def main():
    folder = Path(sys.argv[1])
    ports = dict(zip(DEFAULT_PORTS, free_ports(len(DEFAULT_PORTS))))
    print(ports["temporal"], ports["sandbox"], flush=True)
    spawner = Spawner(lambda name, line: None)
    servers = Servers(ports, spawner, folder=folder, state=folder, environ={})
    await run_steps(servers.steps(), lambda timing: print(timing.name, flush=True))
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def marker() -> str:
    return f"marker-{uuid.uuid4().hex}"


@pytest.fixture
def spawner() -> Spawner:
    return Spawner(lambda _name, _line: None)


def family(marker: str, **options: object) -> Command:
    return Command(name="family", argv=(sys.executable, "-c", FAMILY, marker), **options)  # type: ignore[arg-type]


async def until_up(process: GuardedProcess, marker: str) -> None:
    await eventually(lambda: "up" in process.tail)
    assert anyone_with(marker)


async def test_stop_ends_the_process_and_what_it_started(spawner: Spawner, marker: str) -> None:
    process = await spawner.start(family(marker))
    await until_up(process, marker)
    assert await process.stop() == 128 + signal.SIGTERM
    assert not anyone_with(marker)


async def test_a_process_that_ends_by_itself_leaves_no_child(spawner: Spawner, marker: str) -> None:
    process = await spawner.start(family(marker))
    await until_up(process, marker)
    os.kill(process.pid, signal.SIGKILL)
    assert await process.wait() == 128 + signal.SIGKILL
    assert not anyone_with(marker)


async def test_an_environment_is_handed_on_under_uvloop_too() -> None:
    """Which takes nothing but a dictionary, and `os.environ` is none: benchmarks run under it."""
    program = await start_program(UNDER_UVLOOP)
    assert await read_line(program) == "told"
    assert await program.wait() == 0


async def test_what_ignores_the_signal_is_killed_after_its_time(spawner: Spawner, marker: str) -> None:
    stubborn = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
    process = await spawner.start(
        Command(name="stubborn", argv=(sys.executable, "-c", stubborn, marker), grace_seconds=0.2)
    )
    await until_up(process, marker)
    assert await process.stop() == 128 + signal.SIGKILL


async def test_kill_does_not_wait_for_the_grace(spawner: Spawner, marker: str) -> None:
    stubborn = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
    process = await spawner.start(
        Command(name="stubborn", argv=(sys.executable, "-c", stubborn, marker), grace_seconds=300)
    )
    await until_up(process, marker)
    process.kill()
    assert await asyncio.wait_for(process.wait(), 20) == 128 + signal.SIGKILL


async def test_a_killed_guardian_takes_its_family_along(spawner: Spawner, marker: str) -> None:
    process = await spawner.start(family(marker))
    await until_up(process, marker)
    process._guardian.kill()
    await process.wait()
    await eventually(lambda: not anyone_with(marker))


async def test_sigkill_of_the_supervisor_leaves_no_process(marker: str) -> None:
    supervisor = await start_program(SUPERVISOR, FAMILY, marker)
    assert await read_line(supervisor) == "up"
    await sigkill(supervisor)
    await eventually(lambda: not anyone_with(marker))


async def test_sigkill_while_the_servers_are_starting_leaves_no_process() -> None:
    with server_folder() as folder:
        supervisor = await start_program(STARTING_STACK, str(folder))
        temporal_port, sandbox_port = (await read_line(supervisor)).split()
        await read_line(supervisor)  # one of the servers is ready, the others are still starting
        await sigkill(supervisor)
        for text in (str(folder), f"--port {temporal_port}", f"--http-port {sandbox_port}"):
            await eventually(lambda text=text: not anyone_with(text))  # type: ignore[misc]


async def test_a_missing_program_is_said_in_one_line(spawner: Spawner) -> None:
    with pytest.raises(StackError, match=r"^ghost cannot be started: /no/such/program: No such file or directory$"):
        await spawner.start(Command(name="ghost", argv=("/no/such/program",)))


async def test_output_comes_by_lines_whatever_their_length(marker: str) -> None:
    lines: list[str] = []
    spawner = Spawner(lambda _name, line: lines.append(line))
    source = "print('x' * 300000); print('end', end='')"
    await (await spawner.start(Command(name="talker", argv=(sys.executable, "-c", source)))).wait()
    assert [len(line) for line in lines] == [300000, 3]
