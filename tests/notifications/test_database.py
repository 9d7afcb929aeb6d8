"""What sessions rest on."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from pydantic import SecretStr

from notifications.database import Sessions, create_engine, create_sessions, execute_prepared

_WHO = "SELECT pg_backend_pid() AS pid"


async def _alone(sessions: Sessions, statement: str, parameters: Mapping[str, Any]) -> Sequence[Any]:
    async with sessions() as session:
        return await execute_prepared(session, statement, parameters, alone=True)


async def test_a_connection_that_the_server_ended_is_not_given_out(sessions: Sessions, database_url: str):
    engine = create_engine(SecretStr(database_url), pool_size=1)
    try:
        ours = create_sessions(engine)
        (before,) = await _alone(ours, _WHO, {})
        # Waits until that process is gone, so that its last words have been sent.
        (ended,) = await _alone(sessions, "SELECT pg_terminate_backend(%(pid)s, 10000) AS done", {"pid": before.pid})
        assert ended.done
        (after,) = await _alone(ours, _WHO, {})
        assert after.pid != before.pid
    finally:
        await engine.dispose()


async def test_a_statement_alone_is_committed_and_the_next_transaction_is_one_again(database_url: str):
    engine = create_engine(SecretStr(database_url), pool_size=1)
    name = f"alone_{uuid4().hex}"
    insert = "INSERT INTO cancellations (source, cancelkey, time) VALUES (%(name)s, %(key)s, now()) RETURNING cancelkey"
    try:
        ours = create_sessions(engine)
        await _alone(ours, insert, {"name": name, "key": "kept"})
        async with ours() as session:
            await execute_prepared(session, insert, {"name": name, "key": "rolled back"})
        rows = await _alone(ours, "SELECT cancelkey FROM cancellations WHERE source = %(name)s", {"name": name})
        assert [row.cancelkey for row in rows] == ["kept"]
    finally:
        await engine.dispose()
