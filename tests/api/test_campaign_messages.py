"""A campaign's messages, page by page and as a file: each once, pending ones of a cancelled campaign as cancelled."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient

from notifications.campaigns.messages import Chosen, ExportFormat, export
from notifications.database import Sessions
from notifications.ids import message_id
from tests.support.campaign_messages import insert_with_messages

STATUSES = ["sent", ("skipped", "opted_out"), "pending", ("failed", "provider_refused"), ("pending", "throttled")]


async def listed(client: AsyncClient, campaign: UUID, **wanted: Any) -> list[dict[str, Any]]:
    """Every page of at most two."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        parameters = {"limit": 2, **wanted} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"/v1/campaigns/{campaign}/messages", params=parameters)).json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


async def test_pages_follow_the_numbers_and_name_no_address(client: AsyncClient, sessions: Sessions):
    campaign = await insert_with_messages(sessions, STATUSES)
    found = await listed(client, campaign)
    assert [each["seq"] for each in found] == [1, 2, 3, 4, 5]
    assert found[0]["id"] == str(message_id(campaign, 1))
    assert "person1@" not in json.dumps(found)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"status": "pending"}, [3, 5]),
        ({"status": "cancelled"}, []),
        ({"reason": "opted_out"}, [2]),
        ({"recipient": "cus-4"}, [4]),
        ({"recipient": "cus-4", "status": "sent"}, []),
    ],
)
async def test_filters(client: AsyncClient, sessions: Sessions, wanted: dict[str, str], numbers: list[int]):
    campaign = await insert_with_messages(sessions, STATUSES)
    assert [each["seq"] for each in await listed(client, campaign, **wanted)] == numbers


async def test_what_waits_of_a_cancelled_campaign_is_cancelled_everywhere(client: AsyncClient, sessions: Sessions):
    campaign = await insert_with_messages(sessions, STATUSES, state="cancelled", cancelled_at=datetime.now(UTC))
    assert [each["status"] for each in await listed(client, campaign)] == [
        "sent",
        "skipped",
        "cancelled",
        "failed",
        "cancelled",
    ]
    assert [each["seq"] for each in await listed(client, campaign, status="cancelled")] == [3, 5]
    assert await listed(client, campaign, status="pending") == []
    assert await listed(client, campaign, reason="throttled") == []
    account = (await client.get(f"/v1/campaigns/{campaign}")).json()["account"]
    assert account["by_status"]["cancelled"] == 2


@pytest.mark.parametrize(
    ("headers", "parameters", "media_type"),
    [
        ({}, {}, "text/csv; charset=utf-8"),
        ({"Accept": "text/html, application/x-ndjson;q=0.9"}, {}, "application/x-ndjson"),
        ({"Accept": "application/x-ndjson"}, {"format": "csv"}, "text/csv; charset=utf-8"),
    ],
)
async def test_an_export_has_a_row_for_each_message(
    client: AsyncClient, sessions: Sessions, headers: dict[str, str], parameters: dict[str, str], media_type: str
):
    campaign = await insert_with_messages(sessions, STATUSES)
    answer = await client.get(f"/v1/campaigns/{campaign}/export", headers=headers, params=parameters)
    assert answer.headers["content-type"] == media_type
    is_csv = media_type.startswith("text/csv")
    rows = (
        list(csv.DictReader(io.StringIO(answer.text)))
        if is_csv
        else [json.loads(line) for line in answer.text.splitlines()]
    )
    assert [(int(row["seq"]), row["status"]) for row in rows][1] == (2, "skipped")
    assert len(rows) == len(STATUSES)
    assert "example.org" not in answer.text


async def test_a_form_that_there_is_not_is_said(client: AsyncClient, sessions: Sessions):
    campaign = await insert_with_messages(sessions, [])
    refused = await client.get(f"/v1/campaigns/{campaign}/export", headers={"Accept": "application/pdf"})
    assert (refused.status_code, refused.json()["type"]) == (406, "urn:tidings:problem:not-acceptable")
    assert "format=ndjson" in refused.json()["detail"]


async def test_cells_that_a_spreadsheet_would_run_are_made_harmless_in_csv_alone(
    client: AsyncClient, sessions: Sessions
):
    formula = "=HYPERLINK(1)"
    campaign = await insert_with_messages(sessions, ["sent"], lambda _: {"recipient_id": formula})
    as_csv = (await client.get(f"/v1/campaigns/{campaign}/export")).text
    assert next(iter(csv.DictReader(io.StringIO(as_csv))))["recipient_id"] == f"'{formula}"
    as_json = (await client.get(f"/v1/campaigns/{campaign}/export", params={"format": "ndjson"})).text
    assert json.loads(as_json)["recipient_id"] == formula


async def test_an_export_reads_block_by_block(sessions: Sessions):
    campaign = await insert_with_messages(sessions, ["sent"] * 5)
    pieces = [piece async for piece in export(sessions, campaign, Chosen(), ExportFormat.NDJSON, size=2)]
    assert [piece.count(b"\n") for piece in pieces] == [2, 2, 1]


@pytest.mark.parametrize("path", ["messages", "export", "progress"])
async def test_a_campaign_that_is_not_there_is_said_so(client: AsyncClient, path: str):
    assert (await client.get(f"/v1/campaigns/{uuid4()}/{path}")).status_code == 404


async def test_a_cursor_of_elsewhere_is_refused(client: AsyncClient, sessions: Sessions):
    campaign = await insert_with_messages(sessions, [])
    assert (await client.get(f"/v1/campaigns/{campaign}/messages", params={"cursor": "Wy0xXQ"})).status_code == 400
