"""What the answer to a command says: the account after it, soon, whatever Temporal does."""

import asyncio

from httpx import AsyncClient

from api.memory import MemoryWorkflows
from notifications.database import Sessions
from tests.support.running_campaigns import insert_campaign


async def test_the_answer_counts_after_the_command_and_not_a_second_before(client: AsyncClient, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=6)
    seen = (await client.get(f"/v1/campaigns/{campaign}")).json()["account"]
    assert seen["by_status"] == {"pending": 6}
    cancelled = (await client.post(f"/v1/campaigns/{campaign}/cancel")).json()
    assert cancelled["campaign"]["state"] == "cancelled"
    assert (cancelled["account"]["targeted"], cancelled["account"]["by_status"]) == (6, {"cancelled": 6})
    assert (await client.get(f"/v1/campaigns/{campaign}")).json()["account"] == cancelled["account"]


async def test_a_command_is_answered_within_two_seconds_while_temporal_is_silent(
    client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
):
    campaign = await insert_campaign(sessions, messages=1)
    workflows.is_silent = True
    async with asyncio.timeout(2):
        paused = await client.post(f"/v1/campaigns/{campaign}/pause")
    assert (paused.status_code, paused.json()["campaign"]["state"]) == (200, "paused")
    assert not workflows.woken_campaigns
