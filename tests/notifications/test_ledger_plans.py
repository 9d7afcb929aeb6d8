"""Claims and records find their rows by key, whatever Postgres believes of its tables.

A plan is made from statistics, and those are missing or old just when a large campaign has been written. A statement
that then reads whole tables does 1,000 rows a second instead of tens of thousands.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import SecretStr

from benchmarks._ledger_rows import fill_campaign, fill_singles
from notifications.database import Sessions, create_engine, create_sessions, execute, transaction
from notifications.ledger import Ledger, Result, Try
from notifications.providers.receipts import Correlation, ReceiptEvent
from notifications.receipts import Receipts
from notifications.statuses import AttemptOutcome, MessageStatus
from tests.support.postgres import fresh_database

TABLES = ("messages", "attempts", "notifications", "preferences", "suppressions", "receipts")
LARGE, BATCH = 20_000, 50
CACHED_AFTER = 12  # the driver prepares at the 5th execution, and 5 later Postgres keeps the plan

_READ = """
SELECT coalesce(sum(seq_tup_read), 0) AS by_scan, coalesce(sum(idx_tup_fetch), 0) AS by_index
FROM pg_stat_user_tables WHERE relname = ANY (:tables)
"""


@pytest.fixture
async def alone(postgres_server: str) -> AsyncIterator[Sessions]:
    """A database that nobody analyses, and one connection, whose plans are kept."""
    async with fresh_database(postgres_server) as url:
        engine = create_engine(SecretStr(url), pool_size=1)
        sessions = create_sessions(engine)
        async with transaction(sessions) as session:
            for table in TABLES:
                await execute(session, f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        yield sessions
        await engine.dispose()


async def _fill(sessions: Sessions, rows: int) -> tuple[UUID, list[UUID]]:
    """A campaign, and as many notifications of one message."""
    return await fill_campaign(sessions, rows), await fill_singles(sessions, rows)


async def _send(ledger: Ledger, messages: list[tuple[UUID, int]]) -> None:
    at = datetime.now(UTC)
    claims = await ledger.claim([Try(origin, seq, 1, at, "smtp") for origin, seq in messages])
    assert {claim.verdict for claim in claims} == {"claimed"}
    await ledger.record(
        [
            Result(
                claim.origin_id,
                claim.seq,
                claim.attempt,
                "smtp",
                AttemptOutcome.ACCEPTED,
                at,
                at,
                provider_message_id=f"{claim.origin_id}-{claim.seq}",
            )
            for claim in claims
        ]
    )


def _receipt(origin: UUID, seq: int, *, word: str = "delivered", correlated: bool = True) -> ReceiptEvent:
    return ReceiptEvent(
        provider="smtp",
        receipt_id=f"{origin}-{seq}-{word}",
        provider_message_id=f"{origin}-{seq}",
        correlation=Correlation(origin, seq, 1) if correlated else None,
        status=MessageStatus(word),
        occurred_at=datetime.now(UTC),
    )


async def _rows_read(sessions: Sessions, ledger: Ledger, campaign: UUID, singles: list[UUID]) -> tuple[int, int, int]:
    """What sending some of each reads: rows by sequential scans, rows by index, and how many messages it was."""

    scanned, fetched = await _read_so_far(sessions)
    for number in range(CACHED_AFTER):
        await _send(ledger, [(campaign, seq) for seq in range(BATCH * number + 1, BATCH * (number + 1) + 1)])
        await _send(ledger, [(singles[number], 1)])
    scanned_after, fetched_after = await _read_so_far(sessions)
    return scanned_after - scanned, fetched_after - fetched, CACHED_AFTER * (BATCH + 1)


async def _read_so_far(sessions: Sessions) -> tuple[int, int]:
    async with transaction(sessions) as session:
        await execute(session, "SELECT pg_stat_force_next_flush()")
    async with transaction(sessions) as session:
        row = (await execute(session, _READ, {"tables": list(TABLES)})).one()
    return row.by_scan, row.by_index


async def test_large_tables_that_were_never_analysed(alone: Sessions):
    ledger = Ledger(alone, process="worker")
    by_scan, by_index, messages = await _rows_read(alone, ledger, *await _fill(alone, LARGE))
    assert by_scan == 0
    assert by_index < 20 * messages


@pytest.mark.parametrize("analysed", [True, False])
async def test_tables_that_grew_since_the_plan_was_made(alone: Sessions, *, analysed: bool):
    ledger = Ledger(alone, process="worker")
    campaign, singles = await _fill(alone, BATCH)
    if analysed:
        async with transaction(alone) as session:
            await execute(session, f"ANALYZE {', '.join(TABLES)}")
    for number in range(CACHED_AFTER):
        await _send(ledger, [(campaign, number + 1)])
        await _send(ledger, [(singles[number], 1)])
    by_scan, by_index, messages = await _rows_read(alone, ledger, *await _fill(alone, LARGE))
    assert by_scan == 0
    assert by_index < 20 * messages


async def test_one_campaign_is_nearly_the_whole_ledger(alone: Sessions):
    """Statistics then say that an origin has tens of thousands of messages, which is wrong for all but one."""
    ledger = Ledger(alone, process="worker")
    campaign = await fill_campaign(alone, LARGE)
    singles = await fill_singles(alone, 2 * CACHED_AFTER)
    async with transaction(alone) as session:
        await execute(session, f"ANALYZE {', '.join(TABLES)}")
    by_scan, by_index, messages = await _rows_read(alone, ledger, campaign, singles)
    assert by_scan == 0
    assert by_index < 20 * messages


@pytest.mark.parametrize("analysed", [True, False])
@pytest.mark.parametrize("correlated", [True, False])
async def test_receipts_find_their_messages_by_key(alone: Sessions, *, analysed: bool, correlated: bool):
    ledger, receipts = Ledger(alone, process="worker"), Receipts(alone)
    campaign = await fill_campaign(alone, CACHED_AFTER)
    if analysed:
        async with transaction(alone) as session:
            await execute(session, f"ANALYZE {', '.join(TABLES)}")
    for seq in range(1, CACHED_AFTER + 1):
        await _send(ledger, [(campaign, seq)])
        await receipts.take([_receipt(campaign, seq, correlated=correlated)])
    campaign = await fill_campaign(alone, LARGE)
    rows = [(campaign, seq) for seq in range(1, CACHED_AFTER * BATCH + 1)]
    await _send(ledger, rows)
    by_scan, by_index = await _read_so_far(alone)
    for start in range(0, len(rows), BATCH):
        found = await receipts.take([_receipt(*row, correlated=correlated) for row in rows[start : start + BATCH]])
        assert {taken.fate for taken in found} == {"applied"}
    scanned, fetched = await _read_so_far(alone)
    assert scanned == by_scan
    assert fetched - by_index < 8 * len(rows)
