"""What the answer to a command says: the account after it, soon, whatever Temporal does."""

import asyncio
from datetime import UTC, datetime

from httpx import AsyncClient

from api.memory import MemoryWorkflows
from notifications.database import Sessions
from tests.support.campaigns import change_campaign, insert_campaign


async def test_the_answer_counts_after_the_command_and_not_a_second_before(client: AsyncClient, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=6)
    seen = (await client.get(f"/v1/campaigns/{campaign}")).json()["account"]
    assert seen["by_status"] == {"pending": 6}
    cancelled = (await client.post(f"/v1/campaigns/{campaign}/cancel")).json()
    assert cancelled["campaign"]["state"] == "cancelled"
    assert (cancelled["account"]["targeted"], cancelled["account"]["by_status"]) == (6, {"cancelled": 6})
    assert (await client.get(f"/v1/campaigns/{campaign}")).json()["account"] == cancelled["account"]


async def test_an_account_is_never_older_than_the_state_beside_it(client: AsyncClient, sessions: Sessions):
    campaign = await insert_campaign(sessions, messages=2)
    await client.get(f"/v1/campaigns/{campaign}")
    now = datetime.now(UTC)
    await change_campaign(sessions, campaign, state="cancelled", cancelled_at=now, updated_at=now)  # by its workflow
    seen = (await client.get(f"/v1/campaigns/{campaign}")).json()
    assert (seen["campaign"]["state"], seen["account"]["by_status"]) == ("cancelled", {"cancelled": 2})


async def test_a_command_is_answered_within_two_seconds_while_temporal_is_silent(
    client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
):
    campaign = await insert_campaign(sessions, messages=1)
    workflows.is_silent = True
    async with asyncio.timeout(2):
        paused = await client.post(f"/v1/campaigns/{campaign}/pause")
    assert (paused.status_code, paused.json()["campaign"]["state"]) == (200, "paused")
    assert not workflows.woken_campaigns
