"""One house with all its workers for this folder."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.support.integration import House, running_house
from tests.support.postgres import fresh_database
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
