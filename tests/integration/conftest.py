"""One house with all its workers for this folder, and one whose vendors are the sandbox's."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.support.integration import House, running_house
from tests.support.marketing import Marketer
from tests.support.postgres import fresh_database
from tests.support.reporting import Reporting, running_reporting
from tests.support.servers import settle_temporal


@pytest.fixture(scope="package")
async def house(postgres_server: str, temporal_address: str) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(fresh_database(postgres_server))
        house = await stack.enter_async_context(running_house(temporal_address, url))
        for worker in house.workers():
            await stack.enter_async_context(worker)
        yield house
    await settle_temporal()


@pytest.fixture(scope="package")
async def running(postgres_server: str, temporal_address: str) -> AsyncIterator[Reporting]:
    """For modules that need no settings of their own."""
    async with running_reporting(postgres_server, temporal_address) as running:
        yield running


@pytest.fixture
async def marketer(running: Reporting) -> AsyncIterator[Marketer]:
    await running.quiet()
    yield Marketer(running)
    await running.quiet()
