"""The one engine of a process, and its sessions."""

import asyncio
import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row
from pydantic import SecretStr
from sqlalchemy import CursorResult, Dialect, Executable, TextClause, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlalchemy.util import greenlet_spawn
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.settings import SettingsError

Sessions = async_sessionmaker[AsyncSession]


def async_url(url: str) -> str:
    """The address with the driver named, whichever of the usual spellings it came in."""
    for scheme in ("postgresql+psycopg://", "postgresql://", "postgres://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    raise SettingsError("TIDINGS_DATABASE_URL must begin with postgresql://")


def create_engine(url: SecretStr | None, *, pool_size: int = 10) -> AsyncEngine:
    """Connect lazily; every session runs in UTC and gives up on a lock or a statement rather than hang.

    Raises:
        SettingsError: no address, or one that is not PostgreSQL's.

    """
    if url is None:
        raise SettingsError(
            "TIDINGS_DATABASE_URL is not set: run `python -m tidings dev`, or point it at your PostgreSQL"
        )
    engine = create_async_engine(
        async_url(url.get_secret_value()),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        hide_parameters=True,  # an error's text ends up in logs, and parameters are addresses
        connect_args={
            "connect_timeout": 5,
            "options": "-c timezone=UTC -c statement_timeout=30s -c lock_timeout=10s"
            " -c idle_in_transaction_session_timeout=60s"
            # Everything here goes by keys and indexes, however small or new a table looks (docs/adr/0020).
            " -c enable_seqscan=off -c jit=off",
        },
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Take another connection where the server has ended this one: its last words can be read then.

    As good as a ping after a restart of the server, and without the round trip for each transaction.
    """
    driver = connection.driver_connection
    news = select.poll()
    if not driver.closed:
        news.register(driver.fileno(), select.POLLIN)
    if driver.closed or news.poll(0):
        raise DisconnectionError("the server has closed this connection")


def create_sessions(engine: AsyncEngine) -> Sessions:
    return async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)


@asynccontextmanager
async def transaction(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    """One transaction: committed at the end of the block, rolled back on any error."""
    async with sessions() as session, session.begin():
        yield session


@lru_cache(maxsize=1024)
def _text(statement: str) -> TextClause:
    """Statements are constants: what SQLAlchemy works out about one is kept with it."""
    return text(statement)


async def execute(
    session: AsyncSession,
    statement: str | Executable,
    parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
) -> CursorResult[Any]:
    """Run SQL text on the session's own connection, in its transaction; nothing is flushed before."""
    connection = await session.connection()
    return await connection.execute(_text(statement) if isinstance(statement, str) else statement, parameters)


async def execute_prepared(session: AsyncSession, statement: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """Run the driver's own SQL (`%(name)s`), for statements that run all the time: prepared on its connection, its rows
    taken as they are. SQLAlchemy's cursor, result and rows around them cost more than the driver's work.

    Raises:
        DBAPIError: as for any other statement.

    """
    connection = await session.connection()
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        return await _fetched(driver, statement, parameters)
    except asyncio.CancelledError:
        await connection.invalidate()  # as SQLAlchemy does: nobody knows what it was left in
        raise
    except psycopg.Error as error:
        if driver.closed:
            await connection.invalidate(error)
        raise _translated(error, statement, connection.dialect, lost=driver.closed) from error


async def execute_alone(sessions: Sessions, statement: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
    """Run the driver's own SQL as a transaction of its own: one round trip, on a connection straight from the pool.

    A session around it would cost as much again as the statement.

    Raises:
        DBAPIError: as for any other statement.

    """
    engine: AsyncEngine = sessions.kw["bind"]
    try:
        connection = await engine.raw_connection()
    except psycopg.Error as error:
        raise _translated(error, statement, engine.dialect, lost=False) from error
    driver: Any = connection.driver_connection
    try:
        await driver.set_autocommit(True)
        rows = await _fetched(driver, statement, parameters)
        await driver.set_autocommit(False)
    except BaseException as error:
        refused = isinstance(error, psycopg.Error) and not driver.closed
        if refused:
            await driver.set_autocommit(False)
        # Called off or lost: nobody knows what it was left in.
        await greenlet_spawn(connection.close if refused else connection.invalidate)
        if isinstance(error, psycopg.Error):
            raise _translated(error, statement, engine.dialect, lost=not refused) from error
        raise
    await greenlet_spawn(connection.close)
    return rows


async def _fetched(driver: Any, statement: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
    cursor = await driver.cursor(row_factory=namedtuple_row).execute(statement, parameters)
    rows: Sequence[Any] = await cursor.fetchall()
    return rows


def _translated(error: psycopg.Error, statement: str, dialect: Dialect, *, lost: bool) -> DBAPIError:
    """As one of SQLAlchemy's, like the errors of every other statement, and without parameters."""
    translated = DBAPIError.instance(
        statement,
        None,
        error,
        psycopg.Error,
        hide_parameters=True,
        connection_invalidated=lost,
        dialect=dialect,
    )
    assert isinstance(translated, DBAPIError)  # noqa: S101 - of an error of the driver it is one
    return translated
