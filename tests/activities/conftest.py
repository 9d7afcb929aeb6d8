"""The activities of a worker process on real Postgres, with a catalogue of their own."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from tests.support.integration import House, running_rooms
from tests.support.postgres import fresh_database


@pytest.fixture(scope="package")
async def house(postgres_server: str) -> AsyncIterator[House]:
    async with fresh_database(postgres_server) as url:
        # Lazy: no test of this folder speaks to Temporal.
        client = await Client.connect("127.0.0.1:1", lazy=True)
        async with running_rooms(client, url) as house:
            yield house
