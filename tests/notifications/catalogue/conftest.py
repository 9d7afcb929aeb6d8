from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from notifications.database import Sessions, create_engine, create_sessions
from tests.support.postgres import fresh_database


@pytest.fixture
async def own_sessions(postgres_server: str) -> AsyncIterator[Sessions]:
    """A database of its own: publishing a folder retires whatever is not in it."""
    async with fresh_database(postgres_server) as url:
        engine = create_engine(SecretStr(url))
        yield create_sessions(engine)
        await engine.dispose()
