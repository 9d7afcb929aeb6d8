"""What the ledger does a second with a million messages in it: `python -m benchmarks.ledger [--json FILE]`.

A PostgreSQL 18 of its own, which syncs every commit, is filled with a campaign of 1,000,000 messages, the preferences
of their recipients and 100,000 suppressions. Nobody analyses it by hand. Then, in turns:

* batches of 50 are claimed, with all checks, and recorded as accepted, over several connections at once;
* single messages of other notifications are claimed and recorded one after the other, here and in an empty ledger of
  the same server by turns.

Only ratios within one run are worth stating. About two minutes, and 2 GB of disk.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import uvloop
from pydantic import SecretStr
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from benchmarks import _processes
from benchmarks._ledger_rows import fill_campaign, fill_singles
from devstack.ports import free_ports
from devstack.postgres import PostgresServer, start_postgres
from devstack.processes import Spawner
from notifications.database import create_engine, create_sessions, execute, transaction
from notifications.ledger import Ledger, Result, Try
from notifications.migrations import migrate
from notifications.statuses import AttemptOutcome

BATCH = 50
MESSAGES = 1_000_000
CONNECTIONS = 4
ROUNDS = 5
BULK_SECONDS = 5.0
SINGLES = 200  # of a round, in each ledger
WARM_UP = 20

_TABLE = """
SELECT n_tup_upd AS updated, n_tup_hot_upd AS hot, last_analyze, last_autoanalyze
FROM pg_stat_user_tables WHERE relname = 'messages'
"""


@dataclass
class Books:
    """One database with its ledger."""

    engine: AsyncEngine
    ledger: Ledger
    singles: Iterator[UUID]
    campaign: UUID | None = None


@asynccontextmanager
async def running_postgres() -> AsyncIterator[PostgresServer]:
    """With the settings of a server whose data matter."""
    spawner = Spawner(lambda _name, _line: None)
    with tempfile.TemporaryDirectory(prefix="tidings-ledger-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 - PostgreSQL may run as another user; a Path blocks no less
        try:
            yield await start_postgres(Path(folder) / "postgres", free_ports(1)[0], spawner, persist=True)
        finally:
            await spawner.stop_all()


async def open_books(server: str, name: str, *, messages: int, singles: int) -> Books:
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
    engine = create_engine(SecretStr(f"{server.rpartition('/')[0]}/{name}"), pool_size=CONNECTIONS)
    await migrate(engine)
    sessions = create_sessions(engine)
    campaign = await fill_campaign(sessions, messages) if messages else None
    ids = await fill_singles(sessions, singles)
    return Books(engine, Ledger(sessions, process="benchmark"), iter(ids), campaign)


async def send(ledger: Ledger, messages: Sequence[tuple[UUID, int]], at: datetime) -> None:
    """Claim and record; the provider between them costs nothing."""
    claims = await ledger.claim([Try(origin, seq, 1, at, "smtp") for origin, seq in messages])
    assert all(claim.verdict == "claimed" for claim in claims), "somebody else has a hand in it"
    now = datetime.now(UTC)
    recorded = await ledger.record(
        [
            Result(
                *(claim.origin_id, claim.seq, claim.attempt, "smtp", AttemptOutcome.ACCEPTED, now, now),
                provider_message_id=f"{claim.seq}@{claim.origin_id}",
            )
            for claim in claims
        ]
    )
    assert len(recorded) == len(messages)


async def bulk(books: Books, batches: Iterator[int], seconds: float) -> int:
    """Rows sent in that time, over all connections at once."""
    assert books.campaign is not None
    campaign, at, rows = books.campaign, datetime.now(UTC), 0
    end = time.monotonic() + seconds

    async def work() -> None:
        nonlocal rows
        while time.monotonic() < end:
            first = next(batches)
            await send(books.ledger, [(campaign, seq) for seq in range(first, first + BATCH)], at)
            rows += BATCH

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return rows


async def single(books: Books) -> float:
    """Milliseconds to claim and to record one message."""
    begun = time.perf_counter()
    await send(books.ledger, [(next(books.singles), 1)], datetime.now(UTC))
    return (time.perf_counter() - begun) * 1000


def quantile(values: Sequence[float], share: float) -> float:
    return round(sorted(values)[int(share * (len(values) - 1))], 2)


async def table_of(books: Books) -> Row[Any]:
    """What Postgres counted; a connection publishes it when it goes at the latest."""
    await books.engine.dispose()
    async with transaction(create_sessions(books.engine)) as session:
        return (await execute(session, _TABLE)).one()


async def run(messages: int, rounds: int) -> dict[str, object]:
    async with running_postgres() as server:
        singles = WARM_UP + rounds * SINGLES
        print(f"filling a ledger with {messages:,} messages", file=sys.stderr)
        empty = await open_books(server.url, "empty", messages=0, singles=singles)
        full = await open_books(server.url, "full", messages=messages, singles=singles)
        try:
            return await measure(empty, full, {"postgres": server.service.process.pid}, rounds)
        finally:
            await empty.engine.dispose()
            await full.engine.dispose()


async def measure(empty: Books, full: Books, processes: dict[str, int], rounds: int) -> dict[str, object]:
    batches = iter(range(1, sys.maxsize, BATCH))
    rates: list[int] = []
    usages: list[_processes.Usage] = []
    latencies: dict[str, list[float]] = {"empty": [], "full": []}
    rows = 0
    before = await table_of(full)
    for _ in range(WARM_UP):
        await single(empty)
        await single(full)
    for number in range(1, rounds + 1):
        reading = _processes.read(processes)
        sent = await bulk(full, batches, BULK_SECONDS)
        usage = _processes.usage(reading, _processes.read(processes))
        rows += sent
        rates.append(round(sent / usage.seconds))
        usages.append(usage)
        for _ in range(SINGLES):
            latencies["empty"].append(await single(empty))
            latencies["full"].append(await single(full))
        print(f"round {number} of {rounds}: {rates[-1]:,} rows/s", file=sys.stderr)
    after = await table_of(full)
    found = {name: {"p50": quantile(ms, 0.5), "p99": quantile(ms, 0.99)} for name, ms in latencies.items()}
    return {
        "bulk": {
            "batch": BATCH,
            "connections": CONNECTIONS,
            "rows": rows,
            "rows_per_second": round(statistics.median(rates)),
            "rows_per_second_by_round": rates,
            "cpu_seconds_per_1000": _processes.per_thousand(usages, rows),
            "foreign_cores": round(statistics.median(usage.foreign_cores for usage in usages), 2),
            "hot_percent": round(100 * (after.hot - before.hot) / (after.updated - before.updated), 1),
        },
        "single_ms": found,
        "single_full_to_empty": {name: round(found["full"][name] / found["empty"][name], 2) for name in ("p50", "p99")},
        "analysed_by_hand": after.last_analyze is not None,
        "autovacuum_had_analysed_before": before.last_autoanalyze is not None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=MESSAGES, help="how many are there already")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="turns of bulk and single sends")
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    found = uvloop.run(run(arguments.messages, arguments.rounds))
    report = {"messages": arguments.messages, "rounds": arguments.rounds, "python": platform.python_version()} | found
    print(json.dumps(report, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
