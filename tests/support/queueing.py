"""Let several calls queue at one row lock, so that each begins before any other has written."""

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

from notifications.database import Sessions, execute, transaction

_LOCKS = {
    "messages": "SELECT FROM messages WHERE origin_id = :id FOR UPDATE",
    "notifications": "SELECT FROM notifications WHERE id = :id FOR UPDATE",
}
_WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
"""


async def in_turn(sessions: Sessions, table: str, origin_id: UUID, *calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """Run the calls in this order: each takes its snapshot before the first may go on. Returns what they return.

    This is where a value read from the snapshot instead of the locked row does its harm.
    """
    tasks: list[asyncio.Task[Any]] = []
    async with transaction(sessions) as session:
        await execute(session, _LOCKS[table], {"id": origin_id})
        for call in calls:
            tasks.append(asyncio.create_task(call))
            await _wait_until_waiting(sessions, len(tasks))
    return list(await asyncio.gather(*tasks, return_exceptions=True))


async def _wait_until_waiting(sessions: Sessions, number: int) -> None:
    async with asyncio.timeout(10), sessions() as session:
        while (await execute(session, _WAITING)).scalar_one() < number:
            await session.rollback()
            await asyncio.sleep(0.01)
