from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from httpx import AsyncClient

from api.collaborators import (
    WorkflowGoneError,
    WorkflowsUnavailableError,
)
from api.memory import MemoryWorkflows
from notifications.database import Sessions
from notifications.queries import views
from tests.api.support import attempt_row, message_row, notification_row, save, unique


class TestGet:
    async def test_messages_attempts_and_links(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"), status="done")
        message = message_row(row, 1, status="sent", attempt=1, provider="smtp")
        await save(sessions, row, message, attempt_row(message, 1))
        found = (await client.get(f"/v1/notifications/{row.id}")).json()
        assert found["links"] == {
            "self": f"http://api.test/v1/notifications/{row.id}",
            "workflow": f"http://ui.test/namespaces/default/workflows/notification-{row.id}",
        }
        (shown,) = found["messages"]
        assert shown["address"] == "j•••@example.org"
        assert shown["status"] == "sent"
        assert [attempt["outcome"] for attempt in shown["attempts"]] == ["accepted"]

    async def test_a_missing_attempt_is_a_lost_answer(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"))
        message = message_row(row, 1, status="sending", attempt=3)
        await save(sessions, row, message, attempt_row(message, 1, outcome="transient", code="smtp_450"))
        (shown,) = (await client.get(f"/v1/notifications/{row.id}")).json()["messages"]
        assert [(attempt["attempt"], attempt["outcome"]) for attempt in shown["attempts"]] == [
            (1, "transient"),
            (2, "lost"),
        ]
        assert "worker ended" in shown["attempts"][1]["explanation"]

    async def test_a_stuck_message_says_what_to_do(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"), status="stuck")
        await save(sessions, row, message_row(row, 1, stuck_reason="smtp_535", attempt=1))
        (shown,) = (await client.get(f"/v1/notifications/{row.id}")).json()["messages"]
        assert shown["explanation"].startswith("It is stuck: smtp_535.")
        assert "retry" in shown["explanation"]

    async def test_the_next_channel_of_a_fallback_waits_for_its_turn(
        self, client: AsyncClient, sessions: Sessions
    ) -> None:
        row = notification_row(unique("pay"))
        await save(sessions, row, message_row(row, 1, due_at=None))
        (shown,) = (await client.get(f"/v1/notifications/{row.id}")).json()["messages"]
        assert "an earlier channel is tried first" in shown["explanation"]

    @pytest.mark.parametrize("status", ["sent", "unknown"])
    async def test_the_next_channel_may_wait_for_a_receipt_too(
        self, client: AsyncClient, sessions: Sessions, status: str
    ) -> None:
        row = notification_row(unique("pay"))
        earlier = message_row(row, 1, status=status, attempt=1, channel="whatsapp")
        await save(sessions, row, earlier, message_row(row, 2, step=1, due_at=None))
        found = (await client.get(f"/v1/notifications/{row.id}")).json()["messages"]
        assert "wait_for_receipt" in found[1]["explanation"]

    @pytest.mark.parametrize(
        ("channel", "address", "masked"),
        [
            ("email", "jane@example.org", "j•••@example.org"),
            ("sms", "+4915112345678", "+49•••678"),
            ("push", "token-0123456789abcdef", "•••cdef"),
        ],
    )
    async def test_addresses_are_masked(
        self, client: AsyncClient, sessions: Sessions, channel: str, address: str, masked: str
    ) -> None:
        row = notification_row(unique("pay"))
        await save(sessions, row, message_row(row, 1, channel=channel, address=address))
        answer = await client.get(f"/v1/notifications/{row.id}")
        assert answer.json()["messages"][0]["address"] == masked
        assert address not in answer.text

    async def test_unknown(self, client: AsyncClient) -> None:
        answer = await client.get(f"/v1/notifications/{uuid4()}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:tidings:problem:not-found")

    async def test_no_uuid(self, client: AsyncClient) -> None:
        answer = await client.get("/v1/notifications/seven")
        assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, "path.notification_id")


class TestList:
    async def test_pages_go_on_where_the_last_ended(self, client: AsyncClient, sessions: Sessions) -> None:
        recipient, start = unique("cus"), datetime.now(UTC)
        rows = [
            notification_row(unique("pay"), recipient_id=recipient, received_at=start + timedelta(seconds=second))
            for second in (0, 1, 1, 2, 3)
        ]
        await save(sessions, *rows)
        seen: list[str] = []
        parameters: dict[str, str | int] = {"recipient": recipient, "limit": 2}
        while True:
            page = (await client.get("/v1/notifications", params=parameters)).json()
            seen += [item["id"] for item in page["items"]]
            if page["next"] is None:
                break
            parameters["cursor"] = page["next"]
        expected = sorted(rows, key=lambda row: (row.received_at, row.id), reverse=True)
        assert seen == [str(row.id) for row in expected]

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"type": "alert"}, {"alert"}),
            ({"status": "stuck"}, {"alert"}),
            ({"definition": "security.new_login"}, {"alert"}),
            ({"stuck": "true"}, {"alert"}),
            ({"stuck": "false"}, {"payment"}),
            ({"channel": "push"}, {"payment"}),
            ({"since": "2026-01-02T00:00:00Z"}, {"payment"}),
            ({"until": "2026-01-02T00:00:00Z"}, {"alert"}),
        ],
    )
    async def test_filters(
        self, client: AsyncClient, sessions: Sessions, parameters: dict[str, str], expected: set[str]
    ) -> None:
        recipient = unique("cus")
        alert = notification_row(
            unique("alert"),
            type="alert",
            status="stuck",
            definition="security.new_login",
            recipient_id=recipient,
            received_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        payment = notification_row(
            unique("payment"), recipient_id=recipient, received_at=datetime(2026, 1, 3, tzinfo=UTC)
        )
        await save(
            sessions,
            alert,
            payment,
            message_row(alert, 1, stuck_reason="smtp_535"),
            message_row(payment, 1, channel="push"),
        )
        found = (await client.get("/v1/notifications", params={"recipient": recipient, **parameters})).json()
        assert {item["event_id"].split("-")[0] for item in found["items"]} == expected

    @pytest.mark.parametrize("cursor", ["nonsense", "WyJhIiwiYiJd", "W10", "MQ", "é"])
    async def test_a_foreign_cursor_is_refused(self, client: AsyncClient, cursor: str) -> None:
        answer = await client.get("/v1/notifications", params={"cursor": cursor})
        assert answer.status_code == 400
        assert "leave it out" in answer.json()["detail"]

    async def test_a_time_without_offset_is_refused(self, client: AsyncClient) -> None:
        answer = await client.get("/v1/notifications", params={"since": "2026-01-02T00:00:00"})
        assert answer.status_code == 422


class TestCancel:
    async def test_each_message_is_answered_and_the_workflow_woken(
        self, client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
    ) -> None:
        row = notification_row(unique("pay"))
        await save(sessions, row, message_row(row, 1, status="sent", attempt=1), message_row(row, 2))
        answer = (await client.post(f"/v1/notifications/{row.id}/cancel")).json()
        assert answer["messages"] == [{"seq": 1, "answer": "too_late"}, {"seq": 2, "answer": "cancelled"}]
        assert workflows.signals == [(row.id, "cancel")]

    async def test_twice_is_the_same_as_once(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"))
        await save(sessions, row, message_row(row, 1))
        answers = [(await client.post(f"/v1/notifications/{row.id}/cancel")).json() for _ in range(2)]
        assert answers[0] == answers[1]

    @pytest.mark.parametrize("failure", [WorkflowsUnavailableError("down"), WorkflowGoneError("ended")])
    async def test_the_ledger_alone_decides(
        self, client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows, failure: Exception
    ) -> None:
        workflows.failure = failure
        row = notification_row(unique("pay"))
        await save(sessions, row, message_row(row, 1))
        answer = await client.post(f"/v1/notifications/{row.id}/cancel")
        assert answer.json()["messages"] == [{"seq": 1, "answer": "cancelled"}]

    async def test_before_planning_nothing_will_be_sent(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"))
        await save(sessions, row)
        answer = (await client.post(f"/v1/notifications/{row.id}/cancel")).json()
        assert answer["messages"] == []
        async with sessions() as session:
            found = await views.find_notification(session, row.id)
        assert found is not None
        assert found.cancelled_at is not None

    async def test_unknown(self, client: AsyncClient) -> None:
        assert (await client.post(f"/v1/notifications/{uuid4()}/cancel")).status_code == 404


class TestReschedule:
    async def test_it_moves_and_wakes(
        self, client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
    ) -> None:
        later = datetime.now(UTC) + timedelta(hours=5)
        row = notification_row(unique("pay"), status="scheduled", due_at=datetime.now(UTC) + timedelta(hours=1))
        await save(sessions, row, message_row(row, 1, due_at=row.due_at, not_before=row.due_at))
        answer = await client.post(f"/v1/notifications/{row.id}/reschedule", json={"not_before": later.isoformat()})
        assert answer.status_code == 200
        assert datetime.fromisoformat(answer.json()["due_at"]) == later
        assert workflows.signals == [(row.id, "reschedule")]

    async def test_the_past_is_now(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"), due_at=datetime.now(UTC) + timedelta(hours=1))
        await save(sessions, row, message_row(row, 1, due_at=row.due_at))
        before = datetime.now(UTC)
        answer = await client.post(
            f"/v1/notifications/{row.id}/reschedule", json={"not_before": "2020-01-01T00:00:00Z"}
        )
        assert datetime.fromisoformat(answer.json()["due_at"]) >= before

    async def test_too_late(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"), status="done", finished_at=datetime.now(UTC))
        await save(sessions, row, message_row(row, 1, status="sent", attempt=1))
        answer = await client.post(
            f"/v1/notifications/{row.id}/reschedule", json={"not_before": "2030-01-01T00:00:00Z"}
        )
        assert (answer.status_code, answer.json()["state"]) == (409, "done")

    async def test_if_nobody_can_be_woken_the_request_is_to_be_repeated(
        self, client: AsyncClient, sessions: Sessions, workflows: MemoryWorkflows
    ) -> None:
        workflows.failure = WorkflowsUnavailableError("down")
        row = notification_row(unique("pay"), due_at=datetime.now(UTC) + timedelta(hours=1))
        await save(sessions, row, message_row(row, 1, due_at=row.due_at))
        url, body = f"/v1/notifications/{row.id}/reschedule", {"not_before": "2020-01-01T00:00:00Z"}
        assert (await client.post(url, json=body)).status_code == 503
        workflows.failure = None
        assert (await client.post(url, json=body)).status_code == 200

    async def test_a_time_without_offset_is_refused(self, client: AsyncClient) -> None:
        answer = await client.post(
            f"/v1/notifications/{uuid4()}/reschedule", json={"not_before": "2030-01-01T00:00:00"}
        )
        assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, "body.not_before")
