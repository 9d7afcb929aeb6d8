"""A database of its own for the test run, made by the migrations."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from pydantic import SecretStr

from notifications.database import create_engine
from notifications.migrations import migrate


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[str]:
    """Create a migrated database on the server and drop it at the end; yields its address."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(server_url, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
        url = server_url.rsplit("/", 1)[0] + f"/{name}"
        engine = create_engine(SecretStr(url))
        try:
            await migrate(engine)
            yield url
        finally:
            await engine.dispose()
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
