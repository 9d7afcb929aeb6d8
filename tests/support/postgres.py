"""Databases for the test run: copies of one that the migrations made once, for they take far longer than a copy."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from pydantic import SecretStr

from notifications.database import Sessions, create_engine, create_sessions
from notifications.migrations import migrate

_TEMPLATE = f"template_{uuid.uuid4().hex[:12]}"


@asynccontextmanager
async def migrated_template(server_url: str) -> AsyncIterator[None]:
    """Create what `fresh_database` copies, and drop it at the end."""
    async with _database(server_url, _TEMPLATE) as url:
        engine = create_engine(SecretStr(url))
        try:
            await migrate(engine)
        finally:
            await engine.dispose()
        yield


@asynccontextmanager
async def fresh_database(server_url: str) -> AsyncIterator[str]:
    """A migrated database on the server, dropped at the end; yields its address."""
    async with _database(server_url, f"test_{uuid.uuid4().hex[:12]}", f'TEMPLATE "{_TEMPLATE}"') as url:
        yield url


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Sessions]:
    """The database at that address."""
    engine = create_engine(SecretStr(url))
    try:
        yield create_sessions(engine)
    finally:
        await engine.dispose()


@asynccontextmanager
async def _database(server_url: str, name: str, options: str = "") -> AsyncIterator[str]:
    async with await psycopg.AsyncConnection.connect(server_url, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}" {options}'.encode())
        try:
            yield server_url.rsplit("/", 1)[0] + f"/{name}"
        finally:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
