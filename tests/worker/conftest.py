"""A house whose workers each test starts and stops itself."""

from collections.abc import AsyncIterator

import pytest

from notifications.settings import SmtpSettings
from tests.support.integration import House, running_house
from tests.support.postgres import fresh_database
from tests.support.servers import settle_temporal


@pytest.fixture(scope="package")
async def house(postgres_server: str, temporal_address: str) -> AsyncIterator[House]:
    async with (
        fresh_database(postgres_server) as url,
        running_house(
            temporal_address, url, worker_slots_urgent=7, worker_slots_bulk=3, smtp=SmtpSettings(max_connections=4)
        ) as house,
    ):
        yield house
    await settle_temporal()
