"""People to send campaigns to, in a database where there are no others: a snapshot may read the tables whole."""

import uuid
from collections.abc import AsyncIterator

import pytest

from notifications.campaigns.snapshot import Snapshot
from notifications.database import Sessions
from tests.support.audiences import insert_recipients
from tests.support.planning import HASH_KEY
from tests.support.postgres import fresh_database, opened


@pytest.fixture(scope="package")
async def database_url(postgres_server: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="package")
async def sessions(database_url: str) -> AsyncIterator[Sessions]:
    async with opened(database_url) as sessions:
        yield sessions


@pytest.fixture
def snapshot(sessions: Sessions) -> Snapshot:
    """In blocks of four."""
    return Snapshot(sessions, HASH_KEY, block=4)


@pytest.fixture
async def people(sessions: Sessions) -> list[str]:
    """Eleven recipients with `attributes.crowd`, of whom each third is not `wanted`; sorted."""
    crowd = uuid.uuid4().hex
    rows = [
        {
            "id": f"{crowd}-{number:02}",
            "email": f"{crowd}-{number}@example.org",
            "locale": "de" if number % 2 else None,
            "attributes": {"crowd": crowd, "wanted": number % 3 > 0},
        }
        for number in range(11)
    ]
    await insert_recipients(sessions, rows)
    return [str(row["id"]) for row in rows]
