"""What is asked of an audience reads no more than it has to, whatever Postgres believes of its tables."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from notifications.audiences.audience import parse_audience
from notifications.audiences.lists import UploadedIds
from notifications.audiences.store import save_list, source_of
from notifications.campaigns.snapshot import Snapshot
from notifications.campaigns.targets import consent_parameters
from notifications.catalogue.definition import ConsentDefault
from notifications.database import Sessions, create_engine, create_sessions, execute, transaction
from notifications.queries import targets
from notifications.statuses import Channel
from tests.support.campaigns import category_of, insert_unprepared, prepare
from tests.support.planning import HASH_KEY
from tests.support.postgres import fresh_database

TABLES = ("recipients", "devices", "preferences", "suppressions", "audience_members", "messages")
PEOPLE = 30_000

_PEOPLE = f"""
INSERT INTO recipients (id, email, email_ref, locale, attributes)
SELECT 'cus_' || n, 'p' || n || '@example.org', sha256(CAST(n AS text)::bytea), 'de',
       jsonb_build_object('city', n % 3000, 'visits', n)
FROM generate_series(1, {PEOPLE}) n;
INSERT INTO preferences (recipient_id, category, channel, opted_in, source, time)
SELECT id, 'offers', 'email', true, 'import', now() FROM recipients;
INSERT INTO suppressions (address_ref, channel, scope, reason, source)
SELECT sha256(CAST(-n AS text)::bytea), 'email', 'all', 'hard_bounce', 'smtp' FROM generate_series(1, {PEOPLE}) n;
INSERT INTO devices (recipient_id, id, token, token_ref, platform)
SELECT id, 'd', 't' || id, email_ref, 'ios' FROM recipients;
"""
_READ = """
SELECT coalesce(sum(seq_tup_read), 0) AS by_scan, coalesce(sum(idx_tup_fetch), 0) AS by_index
FROM pg_stat_user_tables WHERE relname = ANY (:tables)
"""


@pytest.fixture(scope="module")
async def crowded(postgres_server: str) -> AsyncIterator[Sessions]:
    """A database that nobody analyses."""
    async with fresh_database(postgres_server) as url:
        engine = create_engine(SecretStr(url), pool_size=2)
        sessions = create_sessions(engine)
        async with transaction(sessions) as session:
            for table in TABLES:
                await execute(session, f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
            for statement in filter(str.strip, _PEOPLE.split(";")):
                await execute(session, statement)
        yield sessions
        await engine.dispose()


async def _read_so_far(sessions: Sessions) -> tuple[int, int]:
    async with transaction(sessions) as session:
        await execute(session, "SELECT pg_stat_force_next_flush()")
    async with transaction(sessions) as session:
        row = (await execute(session, _READ, {"tables": list(TABLES)})).one()
    return row.by_scan, row.by_index


async def _audience(sessions: Sessions, kind: str) -> dict[str, Any]:
    if kind == "list":
        with UploadedIds() as ids:
            ids.feed("".join(f"cus_{number}\n" for number in range(1, PEOPLE + 1)).encode(), end=True)
            async with transaction(sessions) as session:
                return {"list": str((await save_list(session, "everybody", ids)).id)}
    return {"all": True} if kind == "all" else {"filter": {"field": "locale", "op": "eq", "value": "de"}}


@pytest.mark.parametrize(
    ("kind", "channel"), [("all", "email"), ("all", "push"), ("filter", "email"), ("list", "email")]
)
async def test_a_snapshot_finds_everything_by_key(crowded: Sessions, kind: str, channel: str) -> None:
    category = category_of("opted_in")
    async with transaction(crowded) as session:
        await execute(session, "UPDATE preferences SET category = :name", {"name": category.name})
    campaign = await insert_unprepared(crowded, category, await _audience(crowded, kind), channel=channel)
    scanned, fetched = await _read_so_far(crowded)
    blocks = await prepare(Snapshot(crowded, HASH_KEY, block=1_000), campaign)
    scanned_after, fetched_after = await _read_so_far(crowded)
    assert sum(block.rows for block in blocks) == PEOPLE
    assert scanned_after == scanned
    assert fetched_after - fetched < 8 * PEOPLE


async def test_what_was_just_written_is_analysed(crowded: Sessions) -> None:
    """Counts over a campaign and dry runs of a list are planned by statistics; nobody else makes any here."""
    campaign = await insert_unprepared(crowded, category_of(), await _audience(crowded, "list"))
    await Snapshot(crowded, HASH_KEY, block=1_000).prepare_block(campaign)
    statement = "SELECT relname FROM pg_class WHERE relname IN ('audience_members', 'messages') AND reltuples > 0"
    async with crowded() as session:
        assert set((await execute(session, statement)).scalars()) == {"audience_members", "messages"}


async def explained(sessions: Sessions, condition: dict[str, Any], *, free: bool = True) -> str:
    """`free`: Postgres chooses between the index and the whole table."""
    async with transaction(sessions) as session:
        await execute(session, "ANALYZE recipients")
        source = await source_of(session, parse_audience({"filter": condition}), datetime.now(UTC))
        if free:
            await execute(session, targets.READ_WHOLE_TABLES)
        parameters = source.parameters | consent_parameters("offers", ConsentDefault.OPTED_IN, Channel.EMAIL)
        statement = f"EXPLAIN {targets.reach(source, Channel.EMAIL)}"
        return "\n".join((await execute(session, statement, parameters)).scalars())


CITY = {"field": "attributes.city", "op": "eq", "value": 17}
OTHER = {"field": "attributes.city", "op": "eq", "value": 18}
FEW = {"all": [CITY, {"field": "attributes.visits", "op": "gt", "value": 7}]}


@pytest.mark.parametrize("condition", [CITY, FEW], ids=["eq", "all"])
async def test_a_selective_filter_reads_by_the_index_on_attributes(
    crowded: Sessions, condition: dict[str, Any]
) -> None:
    plan = await explained(crowded, condition)
    assert "recipients_attributes" in plan
    assert "Seq Scan on recipients" not in plan
    everybody_else = await explained(crowded, {"not": condition})
    assert "Seq Scan on recipients" in everybody_else


@pytest.mark.parametrize(
    "condition",
    [{"field": "attributes.city", "op": "in", "value": [17, 18]}, {"any": [CITY, OTHER]}],
    ids=["in", "any"],
)
async def test_the_index_answers_alternatives_too(crowded: Sessions, condition: dict[str, Any]) -> None:
    """A table this small is as well read whole, so that is switched off."""
    plan = await explained(crowded, condition, free=False)
    assert "BitmapOr" in plan
    assert "recipients_attributes" in plan
