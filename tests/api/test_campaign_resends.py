"""An unknown message of a campaign, sent once more over HTTP."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient

from api.collaborators import WorkflowsUnavailableError
from api.memory import MemoryWorkflows
from notifications.database import Sessions, execute, transaction
from tests.support.campaigns import change_campaign, insert_campaign, statuses_of

ACCEPT = {"accept_duplicate": True}


@pytest.fixture
async def campaign(sessions: Sessions) -> UUID:
    """Completed; its one message is unknown."""
    campaign = await insert_campaign(sessions, messages=1, state="completed")
    async with transaction(sessions) as session:
        statement = "UPDATE messages SET status = 'unknown', attempt = 1 WHERE origin_id = :id"
        await execute(session, statement, {"id": campaign})
    return campaign


async def retry(client: AsyncClient, campaign: UUID, *, seq: int = 1, **options: Any) -> tuple[int, dict[str, Any]]:
    answer = await client.post(f"/v1/campaigns/{campaign}/messages/{seq}/retry", **{"json": ACCEPT} | options)
    return answer.status_code, answer.json()


async def test_it_is_freed_and_started_once(client: AsyncClient, workflows: MemoryWorkflows, campaign: UUID):
    expected = {"campaign_id": str(campaign), "seq": 1, "status": "pending", "round": 2}
    assert await retry(client, campaign) == (200, expected)
    assert await retry(client, campaign) == (200, expected)
    assert workflows.resends == [(campaign, 1, 2)] * 2  # the second finds the workflow of the first


async def test_it_is_kept_while_temporal_is_away(client: AsyncClient, workflows: MemoryWorkflows, campaign: UUID):
    workflows.failure = WorkflowsUnavailableError("away")
    assert (await retry(client, campaign))[0] == 503
    workflows.failure = None
    code, answer = await retry(client, campaign)
    assert (code, answer["round"]) == (200, 2)


async def test_it_takes_the_word_that_a_copy_is_acceptable(
    client: AsyncClient, workflows: MemoryWorkflows, campaign: UUID
):
    code, problem = await retry(client, campaign, json={})
    assert (code, problem["state"]) == (409, "unknown")
    assert "accept_duplicate" in problem["detail"]
    assert not workflows.resends


async def test_what_may_not_be_sent_once_more(client: AsyncClient, sessions: Sessions, campaign: UUID):
    assert (await retry(client, uuid4()))[0] == 404
    assert (await retry(client, campaign, seq=2))[0] == 404
    await change_campaign(sessions, campaign, state="running")
    code, problem = await retry(client, campaign)
    assert (code, problem["state"]) == (409, "unknown")
    assert "the campaign is running" in problem["detail"]
    await change_campaign(sessions, campaign, state="completed")
    async with transaction(sessions) as session:
        await execute(session, "UPDATE messages SET status = 'sent' WHERE origin_id = :id", {"id": campaign})
    code, problem = await retry(client, campaign)
    assert (code, problem["state"]) == (409, "sent")


async def test_somebody_says_what_became_of_it(client: AsyncClient, sessions: Sessions, campaign: UUID):
    for wanted, expected in (("failed", 200), ("failed", 200), ("sent", 409)):
        answer = await client.post(f"/v1/campaigns/{campaign}/messages/1/settle", json={"status": wanted})
        assert answer.status_code == expected, answer.text
    assert await statuses_of(sessions, campaign) == {"failed": 1}
    messages = (await client.get(f"/v1/campaigns/{campaign}/messages")).json()["items"]
    assert [(each["status"], each["reason"]) for each in messages] == [("failed", "operator")]
    answer = await client.post(f"/v1/campaigns/{campaign}/messages/2/settle", json={"status": "sent"})
    assert answer.status_code == 404
