import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from devstack.applications import Application, ApplicationSpec, applications
from devstack.ports import DEFAULT_PORTS, free_ports
from devstack.processes import Command, Spawner, StackError
from devstack.services import Backoff
from devstack.supervisor import watch_server
from tests.support.programs import eventually

SERVER = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def test_a_crashed_process_waits_longer_each_time_up_to_a_bound() -> None:
    backoff = Backoff(first_seconds=0.5, longest_seconds=30)
    assert [backoff.delay(crashes) for crashes in (1, 2, 3, 7, 50)] == [0.5, 1, 2, 30, 30]


def test_each_role_has_a_process() -> None:
    roles = [spec.argv[-1] for spec in applications(DEFAULT_PORTS) if "--roles" in spec.argv]
    assert sorted(",".join(roles).split(",")) == ["bulk", "email", "orchestrator", "push", "sms", "whatsapp"]


async def test_a_crashed_application_is_started_again_with_backoff(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    said: list[str] = []
    spawner = Spawner(lambda _name, line: said.append(line))
    spec = ApplicationSpec(
        name="web", argv=(sys.executable, "-c", SERVER, str(port)), ready_url=f"http://127.0.0.1:{port}/"
    )
    backoff = Backoff(first_seconds=0.05, steady_seconds=600)
    application = Application(spec, spawner, env=os.environ, folder=tmp_path, backoff=backoff)
    await application.start()
    keeper = asyncio.create_task(application.keep_running())
    seen: list[float] = []
    for _ in range(2):
        process, killed = application.process, time.monotonic()
        os.kill(process.pid, signal.SIGKILL)
        await eventually(lambda process=process: application.process is not process)  # type: ignore[misc]
        seen.append(time.monotonic() - killed)
    keeper.cancel()
    await spawner.stop_all()
    endings = [line for line in said if line.startswith("ended")]
    assert endings == [
        "ended with status 137; starts again in 0.05 s",
        "ended with status 137; starts again in 0.1 s",
    ]
    assert seen[0] >= 0.05
    assert seen[1] >= 0.1


@pytest.mark.parametrize("kill", [True, False])
async def test_what_was_taken_down_stays_down_until_it_is_brought_back(tmp_path: Path, *, kill: bool) -> None:
    (port,) = free_ports(1)
    said: list[str] = []
    spawner = Spawner(lambda _name, line: said.append(line))
    spec = ApplicationSpec(
        name="web", argv=(sys.executable, "-c", SERVER, str(port)), ready_url=f"http://127.0.0.1:{port}/"
    )
    application = Application(spec, spawner, env=os.environ, folder=tmp_path, backoff=Backoff(first_seconds=0))
    await application.start()
    keeper = asyncio.create_task(application.keep_running())
    first = application.process
    await application.take_down(kill=kill)
    assert await first.wait() == 128 + (signal.SIGKILL if kill else signal.SIGTERM)
    await application.take_down(kill=kill)
    assert application.process is first
    await application.bring_back()
    second = application.process
    assert second is not first
    assert second.running
    assert not [line for line in said if line.startswith("ended")], "it did not end by itself"
    os.kill(second.pid, signal.SIGKILL)
    await eventually(lambda: application.process is not second)
    keeper.cancel()
    await spawner.stop_all()


async def test_an_application_that_does_not_come_up_is_said_in_one_line(tmp_path: Path) -> None:
    spawner = Spawner(lambda _name, _line: None)
    spec = ApplicationSpec(
        name="web", argv=(sys.executable, "-c", "raise SystemExit('no token')"), ready_url="http://127.0.0.1:9/"
    )
    with pytest.raises(
        StackError, match=r"^web ended with status 1 while starting: no token; .*\.tidings/logs/web\.log$"
    ):
        await Application(spec, spawner, env=os.environ, folder=tmp_path).start()


async def test_a_dead_server_is_said_in_one_line() -> None:
    spawner = Spawner(lambda _name, _line: None)
    source = "import time; print('listening', flush=True); time.sleep(300)"
    process = await spawner.start(Command(name="kafka", argv=(sys.executable, "-c", source)))
    await eventually(lambda: bool(process.tail))
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(StackError, match=r"^kafka ended with status 137: listening; see .* start the stack again$"):
        await watch_server(process)
