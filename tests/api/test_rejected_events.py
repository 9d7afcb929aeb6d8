import base64
from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient

from notifications.database import Sessions
from tests.api.support import rejected_row, save, unique


async def test_pages_by_filter(client: AsyncClient, sessions: Sessions) -> None:
    topic, start = unique("topic"), datetime.now(UTC)
    rows = [
        rejected_row(unique("pay"), topic=topic, rejected_at=start + timedelta(seconds=second)) for second in (0, 1, 1)
    ]
    await save(sessions, *rows, rejected_row(unique("pay"), topic=topic, reason="schema"))
    parameters: dict[str, str | int] = {"topic": topic, "reason": "unknown_type", "limit": 2}
    first = (await client.get("/v1/rejected-events", params=parameters)).json()
    second = (await client.get("/v1/rejected-events", params=parameters | {"cursor": first["next"]})).json()
    seen = [item["event_id"] for item in first["items"] + second["items"]]
    assert seen == [row.event_id for row in (rows[2], rows[1], rows[0])]
    assert second["next"] is None


async def test_one_with_its_record(client: AsyncClient, sessions: Sessions) -> None:
    row = rejected_row(unique("pay"), value=b'{"a": 1}', key=b"\xff", headers=[["content-type", "YQ=="], ["x", None]])
    await save(sessions, row)
    found = (await client.get(f"/v1/rejected-events/{row.id}")).json()
    assert (found["value"], base64.b64decode(found["value_base64"])) == ('{"a": 1}', b'{"a": 1}')
    assert base64.b64decode(found["key"]) == b"\xff"
    assert found["headers"] == [["content-type", "YQ=="], ["x", None]]


async def test_bytes_that_are_no_text(client: AsyncClient, sessions: Sessions) -> None:
    row = rejected_row(unique("pay"), value=b"\xff\xfe")
    await save(sessions, row)
    found = (await client.get(f"/v1/rejected-events/{row.id}")).json()
    assert (found["value"], base64.b64decode(found["value_base64"])) == (None, b"\xff\xfe")


@pytest.mark.parametrize(("rejected_id", "status"), [("999999999", 404), ("0", 422), ("x", 422), (str(2**63), 422)])
async def test_unknown(client: AsyncClient, rejected_id: str, status: int) -> None:
    assert (await client.get(f"/v1/rejected-events/{rejected_id}")).status_code == status


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [({"since": "2026-01-02T00:00:00Z"}, {"late"}), ({"until": "2026-01-02T00:00:00Z"}, {"early"})],
)
async def test_filters_by_time(
    client: AsyncClient, sessions: Sessions, parameters: dict[str, str], expected: set[str]
) -> None:
    source = unique("https://acme.example")
    await save(
        sessions,
        rejected_row("early", source=source, rejected_at=datetime(2026, 1, 1, tzinfo=UTC)),
        rejected_row("late", source=source, rejected_at=datetime(2026, 1, 3, tzinfo=UTC)),
    )
    found = (await client.get("/v1/rejected-events", params={"source": source, **parameters})).json()
    assert {item["event_id"] for item in found["items"]} == expected
