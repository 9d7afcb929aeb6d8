"""The real servers of a test run, started by the dev stack's own code, once per run and only when asked for."""

import asyncio
import os
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.temporal import SEARCH_ATTRIBUTES
from devstack.kafka import KafkaServer, start_kafka
from devstack.ports import free_ports
from devstack.postgres import start_postgres
from devstack.processes import Spawner
from devstack.sandbox_process import SandboxServer, start_sandbox
from devstack.temporal import start_temporal

_lines: deque[str] = deque(maxlen=200)  # the last output of the servers, for a failing start


def _keep(name: str, line: str) -> None:
    _lines.append(f"{name}: {line}")


@contextmanager
def server_folder() -> Iterator[Path]:
    """A folder for servers, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="tidings-test-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)  # noqa: PTH101, S103 - PostgreSQL may run as another user, who has to reach its data
        yield Path(name)


@asynccontextmanager
async def running_postgres() -> AsyncIterator[str]:
    """The address of a PostgreSQL server: the one of TIDINGS_TEST_POSTGRES, or one of our own."""
    given = os.environ.get("TIDINGS_TEST_POSTGRES")
    if given:
        yield given
        return
    with server_folder() as folder:
        server = await start_postgres(folder / "postgres", free_ports(1)[0], Spawner(_keep))
        try:
            yield server.url
        finally:
            await server.service.take_down()


@asynccontextmanager
async def running_temporal() -> AsyncIterator[str]:
    """host:port of a Temporal server with the search attributes registered."""
    server = await start_temporal(free_ports(1)[0], Spawner(_keep), ui_port=None, search_attributes=SEARCH_ATTRIBUTES)
    try:
        yield server.address
    finally:
        await server.service.take_down()


@asynccontextmanager
async def running_kafka() -> AsyncIterator[KafkaServer]:
    """Apache Kafka, or the built-in cluster with the reason in `fallback`; both make topics when first named."""
    with server_folder() as folder:
        server = await start_kafka(folder / "kafka", free_ports(1)[0], Spawner(_keep), topics=(), auto_create=True)
        try:
            yield server
        finally:
            await server.service.take_down()


@asynccontextmanager
async def running_sandbox() -> AsyncIterator[SandboxServer]:
    """The provider servers with their inbox."""
    http_port, smtp_port = free_ports(2)
    server = await start_sandbox(http_port, smtp_port, Spawner(_keep))
    try:
        yield server
    finally:
        await server.service.take_down()


@asynccontextmanager
async def running_time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's test server, whose clock jumps over waits, with the search attributes registered.

    Raises:
        FileNotFoundError: its program is not there (the wheel exists for x86-64 only).

    """
    program = Path(sys.executable).parent / "temporal-test-server"
    if not program.exists():
        raise FileNotFoundError(f"{program} is not there: its wheel exists for x86-64 only")
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(program),
        test_server_startup_timeout=timedelta(seconds=60),
        data_converter=pydantic_data_converter,
    )
    async with environment:
        request = AddSearchAttributesRequest(
            namespace=environment.client.namespace,
            search_attributes={
                key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES
            },
        )
        await environment.client.operator_service.add_search_attributes(request)
        yield environment
    await settle_temporal()


async def settle_temporal() -> None:
    """The SDK's own threads may abort an interpreter that exits right after its last answer (sdk-python#300)."""
    await asyncio.sleep(0.1)
