"""What `--persist` keeps: the servers' data, over SIGKILL of any of them and of everything at once."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from temporalio.client import Client

from activities.temporal import SEARCH_ATTRIBUTES
from devstack.data import open_data
from devstack.ports import free_ports, ports_apart
from devstack.postgres import start_postgres
from devstack.processes import Spawner, StackError
from devstack.servers import Servers
from devstack.state import Endpoints
from devstack.steps import run_steps
from devstack.supervisor import SERVER_NAMES
from devstack.temporal import registered_attributes
from tests.support.programs import anyone_with, read_line, start_program
from tests.support.servers import server_folder
from workflows.reconciliation import has_reconciliation

TOPIC = "transactional.notifications"
# Its one process does not end with its supervisor, but when there is a file `go`.
SLOW_TO_END = """
import asyncio, sys
from pathlib import Path
from devstack.data import open_data
from devstack.processes import Command, Spawner

STUBBORN = '''
import signal, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
while not Path(sys.argv[1], "go").exists():
    time.sleep(0.02)
'''

async def main():
    async with open_data(Path(sys.argv[1]), persist=True) as data:
        spawner = Spawner(lambda name, line: print(line, flush=True), keep_open=data.locks)
        await spawner.start(Command(name="s", argv=(sys.executable, "-c", STUBBORN, sys.argv[1]), grace_seconds=60))
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with server_folder() as name:
        yield name


@asynccontextmanager
async def persisted(folder: Path) -> AsyncIterator[Servers]:
    """All servers, on ports of their own and the data of the folder."""
    spawner = Spawner(lambda _name, _line: None)
    servers = Servers(ports_apart(), spawner, folder=folder, state=folder, environ={}, persist=True)
    try:
        await run_steps(servers.steps(), lambda _timing: None)
        yield servers
    finally:
        await servers.close()
        await spawner.stop_all()


async def commit(url: str, value: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        await connection.execute("INSERT INTO kept VALUES (%s)", [value])


async def committed(url: str) -> list[str]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return [row[0] for row in await (await connection.execute("SELECT value FROM kept")).fetchall()]


def produce(bootstrap: str, value: str) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(TOPIC, value)
    assert producer.flush(30) == 0


def produced(bootstrap: str) -> str | None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"})
    consumer.subscribe([TOPIC])
    record = consumer.poll(30)
    consumer.close()
    return None if record is None or record.error() else (record.value() or b"").decode()


def runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def kill_all(servers: Servers) -> None:
    for name in SERVER_NAMES:
        await servers.take_down(name, kill=True)
        assert not servers.services[name].process.running


async def write_everywhere(endpoints: Endpoints, value: str) -> None:
    await commit(endpoints.postgres, value)
    produce(endpoints.kafka, value)
    temporal = await Client.connect(endpoints.temporal)
    await temporal.start_workflow("Unknown", id=value, task_queue=value)


async def check_everywhere(endpoints: Endpoints, value: str) -> None:
    assert await committed(endpoints.postgres) == [value]
    assert produced(endpoints.kafka) == value
    temporal = await Client.connect(endpoints.temporal)
    assert (await temporal.get_workflow_handle(value).describe()).workflow_type == "Unknown"
    assert {key.name for key in SEARCH_ATTRIBUTES} <= await registered_attributes(temporal)
    assert await has_reconciliation(temporal)


def leave_half_made(folder: Path) -> None:
    """What a SIGKILL in the middle of the very first start may leave."""
    (folder / "postgres" / "making").mkdir(parents=True)
    (folder / "postgres" / "making" / "PG_VERSION").write_text("18\n")
    (folder / "kafka" / "data").mkdir(parents=True)
    (folder / "temporal").mkdir()
    (folder / "temporal" / "temporal.db").touch()


@pytest.mark.real_kafka
@pytest.mark.timeout(300)
async def test_data_outlives_sigkill_of_each_server_and_of_all_at_once(folder: Path) -> None:
    value = uuid.uuid4().hex
    leave_half_made(folder)
    async with persisted(folder) as servers:
        addresses = servers.endpoints
        await write_everywhere(addresses, value)
        backends = psutil.Process(servers.services["postgres"].process.pid).children()
        assert backends
        await kill_all(servers)
        assert not any(runs(process) for process in backends), "they leave its process group"
        for name in SERVER_NAMES:
            await servers.bring_back(name)
        assert servers.endpoints == addresses
        await check_everywhere(addresses, value)
        await kill_all(servers)
    async with persisted(folder) as servers:
        assert servers.endpoints != addresses, "ports may differ"
        await check_everywhere(servers.endpoints, value)


async def test_data_is_not_opened_while_a_process_of_a_killed_stack_still_uses_it(tmp_path: Path) -> None:
    supervisor = await start_program(SLOW_TO_END, str(tmp_path))
    assert await read_line(supervisor) == "up"
    supervisor.kill()
    await supervisor.wait()
    opening = asyncio.create_task(AsyncExitStack().enter_async_context(open_data(tmp_path, persist=True)))
    assert await asyncio.to_thread(anyone_with, str(tmp_path))
    assert not opening.done()
    (tmp_path / "go").touch()
    data = await opening
    assert not anyone_with(str(tmp_path))
    assert data.folder == tmp_path / "data"


async def test_a_server_whose_data_would_go_is_not_taken_down(folder: Path) -> None:
    spawner = Spawner(lambda _name, _line: None)
    environ = {"TIDINGS_DATABASE_URL": "postgresql://somewhere"}
    servers = Servers(ports_apart(), spawner, folder=folder, state=folder, environ=environ)
    try:
        await run_steps([step for step in servers.steps() if step.name == "sandbox"], lambda _timing: None)
        with pytest.raises(StackError, match=r"^sandbox would lose its data: start the stack with --persist$"):
            await servers.take_down("sandbox")
        with pytest.raises(StackError, match=r"^postgres is not a server of this stack: only sandbox$"):
            await servers.take_down("postgres", kill=True)
    finally:
        await spawner.stop_all()


async def test_a_folder_that_postgres_cannot_reach_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("PostgreSQL runs as ourselves, unless we are root")
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    with pytest.raises(StackError, match=rf"cannot enter {closed}: run as another user, or chmod o\+x {closed}"):
        await start_postgres(closed / "postgres", free_ports(1)[0], Spawner(lambda _name, _line: None), persist=True)
