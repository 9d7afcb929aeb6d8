"""What sessions rest on."""

import asyncio
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import DataError, OperationalError

from notifications.database import Sessions, create_engine, create_sessions, execute_alone, execute_prepared
from tests.support.integration import until

_WHO = "SELECT pg_backend_pid() AS pid"


async def test_a_connection_that_the_server_ended_is_not_given_out(sessions: Sessions, database_url: str):
    engine = create_engine(SecretStr(database_url), pool_size=1)
    try:
        ours = create_sessions(engine)
        (before,) = await execute_alone(ours, _WHO, {})
        # Waits until that process is gone, so that its last words have been sent.
        (ended,) = await execute_alone(
            sessions, "SELECT pg_terminate_backend(%(pid)s, 10000) AS done", {"pid": before.pid}
        )
        assert ended.done
        (after,) = await execute_alone(ours, _WHO, {})
        assert after.pid != before.pid
    finally:
        await engine.dispose()


async def test_a_statement_alone_is_committed_and_the_next_transaction_is_one_again(database_url: str):
    engine = create_engine(SecretStr(database_url), pool_size=1)
    name = f"alone_{uuid4().hex}"
    insert = "INSERT INTO cancellations (source, cancelkey, time) VALUES (%(name)s, %(key)s, now()) RETURNING cancelkey"
    try:
        ours = create_sessions(engine)
        await execute_alone(ours, insert, {"name": name, "key": "kept"})
        async with ours() as session:
            await execute_prepared(session, insert, {"name": name, "key": "rolled back"})
        rows = await execute_alone(ours, "SELECT cancelkey FROM cancellations WHERE source = %(name)s", {"name": name})
        assert [row.cancelkey for row in rows] == ["kept"]
    finally:
        await engine.dispose()


async def test_an_error_is_told_as_for_any_other_statement_and_without_parameters(sessions: Sessions):
    with pytest.raises(DataError) as refused:
        await execute_alone(sessions, "SELECT CAST(%(secret)s AS int)", {"secret": "ana@example.org"})
    assert not refused.value.connection_invalidated
    assert refused.value.params is None


async def test_a_connection_that_dies_under_a_statement_is_given_up(database_url: str):
    engine = create_engine(SecretStr(database_url), pool_size=1)
    try:
        ours = create_sessions(engine)
        with pytest.raises(OperationalError) as ended:
            await execute_alone(ours, "SELECT pg_terminate_backend(pg_backend_pid())", {})
        assert ended.value.connection_invalidated
        assert await execute_alone(ours, _WHO, {})
    finally:
        await engine.dispose()


async def test_a_connection_is_given_up_where_its_statement_was_called_off(sessions: Sessions, database_url: str):
    engine = create_engine(SecretStr(database_url), pool_size=1)
    try:
        ours = create_sessions(engine)
        (before,) = await execute_alone(ours, _WHO, {})
        asked = asyncio.create_task(execute_alone(ours, "SELECT pg_sleep(60)", {}))
        await until(lambda: _is_active(sessions, before.pid))
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        (after,) = await execute_alone(ours, _WHO, {})
        assert after.pid != before.pid
    finally:
        await engine.dispose()


async def _is_active(sessions: Sessions, pid: int) -> bool:
    (found,) = await execute_alone(sessions, "SELECT state FROM pg_stat_activity WHERE pid = %(pid)s", {"pid": pid})
    return bool(found.state == "active")


async def test_a_server_that_cannot_be_reached_is_an_outage_like_any_other():
    engine = create_engine(SecretStr("postgresql://nobody@127.0.0.1:1/nothing"))
    with pytest.raises(OperationalError):
        await execute_alone(create_sessions(engine), _WHO, {})
