"""The stack under test, and the hands that the faults have on it."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row
from rich.console import Console
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bridge.kafka_settings import kafka_config
from bridge.producer import EventProducer
from devstack.applications import APPLICATION_NAMES, Application, applications
from devstack.ports import DEFAULT_PORTS, free_ports, ports_apart
from devstack.state import STATE
from devstack.supervisor import SERVER_NAMES, Stack, StackOptions, running_stack
from devstack.variables import process_environment

RECIPIENTS = tuple(f"chaos-{number}" for number in range(12))
VENDORS = ("smtp", "fcm", "twilio", "meta")
SESSION_SECONDS = 10  # of the Kafka consumers; librdkafka's own is 45 s, which would only be waited for
# Processes die here, not machines: files in memory outlive them, and Temporal's SQLite does not wait for a disk.
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - an own folder is made there
LOGS = STATE / "chaos-logs"  # of the last stack
CALM = {"latency_ms": 400}  # so that a fault finds calls in flight

# Long enough for every outage here: what gets stuck waits for a person, and no person is there.
_VARIABLES = {
    "TIDINGS_MAX_RETRY_FOR": "3m",
    "KAFKA_SESSION_TIMEOUT_MS": str(SESSION_SECONDS * 1000),
    "KAFKA_HEARTBEAT_INTERVAL_MS": "2000",
    "TIDINGS_LOG_FORMAT": "json",
}


@dataclass(frozen=True, kw_only=True)
class World:
    stack: Stack
    producer: EventProducer
    api: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    temporal: Client
    state: Path

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Ask Postgres on a connection of its own: the server may have been away."""
        url = self.stack.endpoints.postgres
        async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row, connect_timeout=5) as connection:
            return await (await connection.execute(statement, values)).fetchall()

    async def execute(self, script: str) -> None:
        """Some statements without an answer."""
        async with await psycopg.AsyncConnection.connect(self.stack.endpoints.postgres) as connection:
            await connection.execute(script)

    def signal(self, name: str, number: signal.Signals) -> None:
        """To one of our processes itself, not to its group."""
        os.kill(self.stack.applications[name].process.pid, number)

    async def fault(self, **knobs: Any) -> None:
        """Turn the same knobs at every vendor."""
        for vendor in VENDORS:
            (await self.sandbox.put(f"/api/faults/{vendor}", json=knobs)).raise_for_status()

    def keep(self, name: str, text: str) -> None:
        """Beside the logs, which outlive the stack."""
        (self.state / "logs" / name).write_text(text, encoding="utf-8")

    async def calm(self) -> None:
        await self.fault(**CALM)

    @asynccontextmanager
    async def second(self, name: str) -> AsyncIterator[Application]:
        """Another process of the same kind beside the first."""
        (port,) = free_ports(1)
        specs = applications({**DEFAULT_PORTS, f"{name}_metrics": port})
        (spec,) = (replace(spec, name=f"{name}-2") for spec in specs if spec.name == name)
        environment = process_environment(self.stack.servers.variables(), state=self.state)
        twin = Application(spec, self.stack.spawner, env=environment)
        await twin.start()
        try:
            yield twin
        finally:
            await twin.take_down()


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    """What the stack hands on to its processes."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@asynccontextmanager
async def running_world() -> AsyncIterator[World]:
    """A persisted stack of its own in a folder that goes afterwards, with recipients to send to.

    Raises:
        StackError: it does not start.

    """
    folders = tempfile.TemporaryDirectory(prefix="tidings-chaos-", dir=_MEMORY)
    with _environment(**_VARIABLES), folders as folder:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - PostgreSQL may run as another user
        try:
            async with _world_in(Path(folder)) as world:
                yield world
        finally:
            shutil.copytree(Path(folder, "logs"), LOGS, dirs_exist_ok=True)


@asynccontextmanager
async def _world_in(state: Path) -> AsyncIterator[World]:
    options = StackOptions(state=state, persist=True, ports=ports_apart(), quiet=(*SERVER_NAMES, *APPLICATION_NAMES))
    async with running_stack(options, Console(quiet=True)) as stack:
        variables = stack.servers.variables()
        token = {"authorization": f"Bearer {variables['TIDINGS_API_TOKEN']}"}
        async with (
            EventProducer(kafka_config(variables), delivery_timeout=60) as producer,
            httpx.AsyncClient(base_url=stack.endpoints.api, headers=token, timeout=10) as api,
            httpx.AsyncClient(base_url=stack.endpoints.sandbox, timeout=10) as sandbox,
        ):
            temporal = await Client.connect(stack.endpoints.temporal, data_converter=pydantic_data_converter)
            world = World(stack=stack, producer=producer, api=api, sandbox=sandbox, temporal=temporal, state=state)
            await asyncio.gather(*(_recipient(world, name) for name in RECIPIENTS))
            await world.calm()
            yield world


async def _recipient(world: World, name: str) -> None:
    number = RECIPIENTS.index(name)
    profile = {
        "email": f"{name}@example.org",
        "phone": f"+120155501{number:02}",
        "locale": "en",
    }
    (await world.api.put(f"/v1/recipients/{name}", json=profile)).raise_for_status()
    device = {"token": f"token-of-{name}", "platform": "android"}
    (await world.api.put(f"/v1/recipients/{name}/devices/phone", json=device)).raise_for_status()
    choice = {"category": "offers", "channel": "email", "opted_in": True, "source": "chaos"}
    answer = await world.api.put(f"/v1/recipients/{name}/preferences", json={"preferences": [choice]})
    answer.raise_for_status()
