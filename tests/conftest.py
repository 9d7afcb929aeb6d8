"""Fixtures that more than one folder uses. Servers are real and started once per run."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from devstack.kafka import KafkaServer
from devstack.sandbox_process import SandboxServer
from notifications.database import Sessions, create_engine, create_sessions
from tests.support.postgres import fresh_database, migrated_template
from tests.support.servers import (
    running_kafka,
    running_postgres,
    running_sandbox,
    running_temporal,
    running_time_skipping,
    settle_temporal,
)


@pytest.fixture(scope="session")
async def postgres_server() -> AsyncIterator[str]:
    """The address of a PostgreSQL server (database `postgres`); TIDINGS_TEST_POSTGRES names one that runs."""
    async with running_postgres() as url, migrated_template(url):
        yield url


@pytest.fixture(scope="session")
async def database_url(postgres_server: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(SecretStr(database_url))
    yield engine
    await engine.dispose()


@pytest.fixture(scope="session")
def sessions(engine: AsyncEngine) -> Sessions:
    return create_sessions(engine)


@pytest.fixture(scope="session")
async def temporal_address() -> AsyncIterator[str]:
    """host:port of a Temporal server, namespace `default`, with our search attributes."""
    async with running_temporal() as address:
        yield address


@pytest.fixture(scope="session")
async def temporal_client(temporal_address: str) -> AsyncIterator[Client]:
    yield await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    await settle_temporal()


@pytest.fixture(scope="session")
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's test server; its clock is one for all, so let one workflow run at a time."""
    async with AsyncExitStack() as stack:
        try:
            environment = await stack.enter_async_context(running_time_skipping())
        except FileNotFoundError as missing:
            pytest.skip(str(missing))
        yield environment


@pytest.fixture(scope="session")
async def kafka_server() -> AsyncIterator[KafkaServer]:
    async with running_kafka() as server:
        yield server


@pytest.fixture(scope="session")
def kafka_bootstrap(kafka_server: KafkaServer) -> str:
    """The broker's address: Apache Kafka, else the built-in cluster (tests marked `real_kafka` then skip)."""
    return kafka_server.bootstrap


@pytest.fixture(autouse=True)
def _real_kafka(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("real_kafka"):
        fallback = request.getfixturevalue("kafka_server").fallback
        if fallback:
            pytest.skip(f"needs Apache Kafka itself: {fallback}")


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[SandboxServer]:
    async with running_sandbox() as server:
        yield server


@pytest.fixture(scope="session")
def sandbox_url(sandbox: SandboxServer) -> str:
    return sandbox.url


@pytest.fixture(scope="session")
def sandbox_smtp_port(sandbox: SandboxServer) -> int:
    return sandbox.smtp_port
