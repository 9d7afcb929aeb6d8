"""Campaigns that ended long ago go in bounded batches, with all that is theirs; what may still change stays."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from notifications.database import Sessions, execute, transaction
from notifications.retention import Kept, Retention
from notifications.settings import RetentionSettings
from notifications.tables import Attempt, CampaignCommand, CatalogueVersion, OutboxEntry, RateLimit, ReceiptRecord
from tests.support.campaigns import insert_campaign

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=91)
TABLES = ("campaigns", "messages", "attempts", "receipts", "campaign_ranges", "campaign_commands", "rate_limits")


@pytest.fixture
async def sessions(own_database: Sessions) -> Sessions:
    """Empty: counts are exact."""
    async with transaction(own_database) as session:
        await execute(session, f"TRUNCATE outbox, catalogue_versions, {', '.join(TABLES)} CASCADE")
    return own_database


async def _ended(sessions: Sessions, *, messages: int = 3, **changes: Any) -> UUID:
    """A campaign with an attempt and a receipt of each message, and a text of its own."""
    values = {"state": "completed", "finished_at": OLD, "expires_at": OLD} | changes
    campaign = await insert_campaign(sessions, messages=messages, **values)
    times = {"started_at": OLD, "finished_at": OLD}
    async with transaction(sessions) as session:
        await execute(session, "UPDATE messages SET status = 'sent' WHERE origin_id = :id", {"id": campaign})
        for seq in range(1, messages + 1):
            own = {"origin_id": campaign, "seq": seq, "attempt": 1, "provider": "smtp"}
            session.add(Attempt(**own, round=1, outcome="accepted", **times))
            session.add(
                ReceiptRecord(
                    **own, receipt_id=f"{campaign}-{seq}", provider_message_id=None, status="delivered", details={},
                    occurred_at=OLD, matched_at=OLD,
                )
            )  # fmt: skip
        session.add(CampaignCommand(campaign_id=campaign, command="launch", by="ana", from_state="draft", to_state="x"))
        session.add(
            CatalogueVersion(kind="template", name=f"campaign-{campaign}", version=1, content_hash="x", content={})
        )
        session.add(RateLimit(key=f"campaign:{campaign}", arrival_at=NOW))
    return campaign


async def _count(sessions: Sessions, table: str) -> int:
    async with sessions() as session:
        return int((await execute(session, f"SELECT count(*) FROM {table}")).scalar_one())


async def _remove_all(sessions: Sessions, *, batch: int = 1_000) -> list[int]:
    """How many rows each statement removed."""
    removed = []
    retention = Retention(sessions, RetentionSettings(), batch=batch)
    while True:
        found = await retention.remove(Kept.CAMPAIGNS)
        assert found is not None
        removed.append(found.removed)
        if found.end:
            return removed


async def test_a_campaign_goes_whole(sessions: Sessions) -> None:
    await _ended(sessions)
    young = await _ended(sessions, finished_at=NOW - timedelta(days=89))
    assert await _remove_all(sessions) == [4, 0]
    assert {table: await _count(sessions, table) for table in TABLES} == dict.fromkeys(TABLES, 1) | dict.fromkeys(
        ("messages", "attempts", "receipts"), 3
    )
    async with sessions() as session:
        names = (await execute(session, "SELECT name FROM catalogue_versions")).scalars().all()
        left = (await execute(session, "SELECT id FROM campaigns")).scalars().all()
    assert (names, left) == ([f"campaign-{young}"], [young])


async def test_a_large_one_goes_in_bounded_batches_and_its_row_last(sessions: Sessions) -> None:
    await _ended(sessions, messages=5)
    retention = Retention(sessions, RetentionSettings(), batch=2)
    first = await retention.remove(Kept.CAMPAIGNS)
    assert first is not None
    assert (first.removed, first.end) == (2, False)
    assert (await _count(sessions, "campaigns"), await _count(sessions, "attempts")) == (1, 3)
    assert await _remove_all(sessions, batch=2) == [2, 2, 0]
    assert [await _count(sessions, table) for table in TABLES] == [0] * len(TABLES)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "running", "finished_at": None},
        {"state": "draft", "finished_at": None},
        {"expires_at": NOW + timedelta(days=1)},
    ],
    ids=["running", "draft", "an unknown message may be settled"],
)
async def test_what_may_still_change_stays(sessions: Sessions, changes: dict[str, Any]) -> None:
    await _ended(sessions, **changes)
    assert await _remove_all(sessions) == [0]
    assert await _count(sessions, "messages") == 3


async def test_what_is_not_published_keeps_its_campaign(sessions: Sessions) -> None:
    campaign = await _ended(sessions)
    other = await _ended(sessions)
    async with transaction(sessions) as session:
        session.add(
            OutboxEntry(
                origin_id=campaign, origin_kind="campaign", seq=0, version=2, channel="email", provider=None,
                status="completed", reason=None, attempt=1,
            )
        )  # fmt: skip
    assert await _remove_all(sessions) == [4, 0]
    async with sessions() as session:
        assert (await execute(session, "SELECT id FROM campaigns")).scalars().all() == [campaign]
    assert other != campaign


async def test_kept_for_ever_where_the_ledger_is(sessions: Sessions) -> None:
    await _ended(sessions)
    assert await Retention(sessions, RetentionSettings(ledger=None)).remove(Kept.CAMPAIGNS) is None
