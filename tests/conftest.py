"""Fixtures that more than one folder uses. Servers are real and started once per run."""

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from notifications.database import Sessions, create_engine, create_sessions
from tests.support.postgres import fresh_database, given_server


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The address of a PostgreSQL server (database `postgres`)."""
    given = given_server()
    assert given is not None, "set TIDINGS_TEST_POSTGRES"
    return given


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
