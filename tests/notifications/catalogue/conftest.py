from collections.abc import AsyncIterator

import pytest

from notifications.database import Sessions
from tests.support.postgres import fresh_database, opened


@pytest.fixture
async def own_sessions(postgres_server: str) -> AsyncIterator[Sessions]:
    """A database of its own: publishing a folder retires whatever is not in it."""
    async with fresh_database(postgres_server) as url, opened(url) as sessions:
        yield sessions
