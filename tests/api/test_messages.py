from datetime import UTC, datetime
from uuid import uuid4

import pytest
from httpx import AsyncClient

from api.collaborators import (
    CommandRefusedError,
    NoWorkerError,
    WorkflowGoneError,
    WorkflowsUnavailableError,
)
from api.memory import MemoryWorkflows
from notifications.database import Sessions
from tests.api.support import message_row, notification_row, save, unique


class TestCommands:
    @pytest.mark.parametrize(
        ("name", "body"), [("retry", None), ("retry", {}), ("skip", None), ("reroute", {"channel": "sms"})]
    )
    async def test_they_go_to_the_workflow(
        self,
        client: AsyncClient,
        sessions: Sessions,
        workflows: MemoryWorkflows,
        name: str,
        body: dict[str, str] | None,
    ) -> None:
        row = notification_row(unique("pay"), status="stuck")
        await save(sessions, row, message_row(row, 1, stuck_reason="smtp_535", attempt=1))
        answer = await client.post(f"/v1/notifications/{row.id}/messages/1/{name}", json=body)
        assert answer.json() == {"notification_id": str(row.id), "seq": 1, "status": "pending", "round": 2}
        ((asked, command),) = workflows.commands
        assert (asked, command.name, command.seq) == (row.id, name, 1)

    @pytest.mark.parametrize(
        ("failure", "status", "kind"),
        [
            (CommandRefusedError("message 1 is not stuck"), 409, "conflict"),
            (WorkflowGoneError("ended"), 409, "conflict"),
            (NoWorkerError("time-out"), 503, "no-worker"),
            (WorkflowsUnavailableError("down"), 503, "unavailable"),
        ],
    )
    async def test_failures(
        self,
        client: AsyncClient,
        sessions: Sessions,
        workflows: MemoryWorkflows,
        failure: Exception,
        status: int,
        kind: str,
    ) -> None:
        workflows.failure = failure
        row = notification_row(unique("pay"))
        await save(sessions, row, message_row(row, 1, status="sent", attempt=1))
        answer = await client.post(f"/v1/notifications/{row.id}/messages/1/skip")
        assert (answer.status_code, answer.json()["type"]) == (status, f"urn:tidings:problem:{kind}")
        if status == 409:
            assert answer.json()["state"] == "sent"

    async def test_unknown_message(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"))
        await save(sessions, row)
        assert (await client.post(f"/v1/notifications/{row.id}/messages/1/retry")).status_code == 404

    async def test_an_unknown_channel_is_refused(self, client: AsyncClient) -> None:
        answer = await client.post(f"/v1/notifications/{uuid4()}/messages/1/reroute", json={"channel": "pigeon"})
        assert answer.status_code == 422


class TestAcceptDuplicate:
    async def test_an_unknown_message_is_sent_again(
        self, client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
    ) -> None:
        row = notification_row(unique("pay"), status="done", finished_at=datetime.now(UTC))
        await save(sessions, row, message_row(row, 1, status="unknown", attempt=1))
        url, body = f"/v1/notifications/{row.id}/messages/1/retry", {"accept_duplicate": True}
        answer = await client.post(url, json=body)
        assert (answer.status_code, answer.json()["round"]) == (200, 2)
        assert workflows.resends == [(row.id, 1, 2)]

    async def test_a_round_whose_workflow_was_not_started_is_taken_up(
        self, client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
    ) -> None:
        row = notification_row(unique("pay"), status="done", finished_at=datetime.now(UTC))
        await save(sessions, row, message_row(row, 1, status="unknown", attempt=1))
        url, body = f"/v1/notifications/{row.id}/messages/1/retry", {"accept_duplicate": True}
        workflows.failure = WorkflowsUnavailableError("down")
        assert (await client.post(url, json=body)).status_code == 503
        workflows.failure = None
        assert (await client.post(url, json=body)).json()["round"] == 2
        assert workflows.resends == [(row.id, 1, 2)]

    async def test_any_other_state_is_refused(
        self, client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
    ) -> None:
        row = notification_row(unique("pay"), status="done", finished_at=datetime.now(UTC))
        await save(sessions, row, message_row(row, 1, status="delivered", attempt=1))
        answer = await client.post(f"/v1/notifications/{row.id}/messages/1/retry", json={"accept_duplicate": True})
        assert (answer.status_code, answer.json()["state"]) == (409, "delivered")
        assert not workflows.resends
