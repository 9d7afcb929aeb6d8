"""How long it takes to see whom a campaign reaches, and to write it down: `python -m benchmarks.snapshot`.

A PostgreSQL 18 of its own, which syncs every commit, gets recipients, what they chose and suppressions; `--server`
names another one. A filter lets nine of ten recipients pass, so that `--rows` are written. Then:

* the snapshot of the filter, several times into the same ledger;
* the dry run of everybody, of the filter and of a filter that few fulfil, and what Postgres reads for the last.

About five minutes and 4 GB of disk at 1,000,000 rows.
"""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import uvloop
from pydantic import SecretStr

from benchmarks import _processes
from benchmarks._audience import OFFERS, fill_recipients, insert_campaign, publish
from benchmarks.ledger import running_postgres
from notifications.audiences.audience import parse_audience
from notifications.audiences.store import source_of
from notifications.campaigns.snapshot import Snapshot
from notifications.campaigns.targets import consent_parameters, dry_run
from notifications.database import Sessions, create_engine, create_sessions, execute, transaction
from notifications.migrations import migrate
from notifications.queries import targets
from notifications.statuses import Channel

ROWS, ROUNDS = 1_000_000, 3
AUDIENCES: dict[str, dict[str, Any]] = {
    "everybody": {"all": True},
    "filter": {"filter": {"field": "attributes.plan", "op": "eq", "value": "pro"}},
    "recent": {"filter": {"field": "attributes.last_order", "op": "gte", "value": "2026-06-01"}},
    "few": {
        "filter": {
            "all": [
                {"field": "attributes.city", "op": "eq", "value": 1},
                {"field": "attributes.visits", "op": "gt", "value": 3},
            ]
        }
    },
}


@asynccontextmanager
async def database(server: str | None) -> AsyncIterator[tuple[str, dict[str, int]]]:
    """A new one on the server, gone afterwards; and the server's process, if it is ours."""
    if server is None:
        async with running_postgres() as own, database(own.url) as (url, _):
            yield url, {"postgres": own.service.process.pid}
        return
    name = f"snapshot_{uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(server, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{server.rpartition('/')[0]}/{name}", {}
        finally:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def snapshot(sessions: Sessions, processes: dict[str, int]) -> dict[str, Any]:
    """One campaign; so long as its median block takes, a command may wait for the lock."""
    campaign = await insert_campaign(sessions, AUDIENCES["filter"])
    prepared, rows, blocks = Snapshot(sessions, b"a key for benchmarks"), 0, []
    reading = _processes.read(processes)
    while True:
        at = time.perf_counter()
        block = await prepared.prepare_block(campaign)
        blocks.append(1_000 * (time.perf_counter() - at))
        rows += block.rows
        if block.done:
            break
    usage = _processes.usage(reading, _processes.read(processes))
    return {
        "rows": rows,
        "rows_per_second": round(rows / usage.seconds),
        "median_block_ms": round(statistics.median(blocks)),
        "cpu_seconds_per_1000": _processes.per_thousand([usage], rows),
        "foreign_cores": round(usage.foreign_cores, 2),
    }


async def dry_runs(
    sessions: Sessions, audience: dict[str, Any], rounds: int, *, others: bool, processes: dict[str, int]
) -> dict[str, float]:
    """The median's wall clock and what else the machine did; `others` asks for the other channels as well."""
    usages = []
    for _ in range(rounds):
        reading = _processes.read(processes)
        async with transaction(sessions) as session:
            await dry_run(session, parse_audience(audience), Channel.EMAIL, OFFERS, other_channels=others)
        usages.append(_processes.usage(reading, _processes.read(processes)))
    return {
        "seconds": round(statistics.median(usage.seconds for usage in usages), 3),
        "foreign_cores": round(statistics.median(usage.foreign_cores for usage in usages), 2),
    }


async def plan_of(sessions: Sessions, audience: dict[str, Any]) -> list[str]:
    """What Postgres did for the counts of the dry run."""
    async with transaction(sessions) as session:
        source = await source_of(session, parse_audience(audience), datetime.now(UTC))
        await execute(session, targets.READ_WHOLE_TABLES)
        parameters = source.parameters | consent_parameters(OFFERS.name, OFFERS.default, Channel.EMAIL)
        statement = f"EXPLAIN (ANALYZE, COSTS OFF, BUFFERS OFF) {targets.reach(source, Channel.EMAIL)}"
        return list((await execute(session, statement, parameters)).scalars())


async def run(rows: int, rounds: int, server: str | None) -> dict[str, Any]:
    recipients = rows * 10 // 9
    async with database(server) as (url, processes):
        engine = create_engine(SecretStr(url))
        await migrate(engine)
        sessions = create_sessions(engine)
        begun = time.perf_counter()
        await fill_recipients(sessions, recipients)
        await publish(sessions)
        print(f"{recipients:,} recipients in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        async with transaction(sessions) as session:
            await execute(session, "ANALYZE recipients, preferences, suppressions")
        snapshots = []
        for _ in range(rounds):
            snapshots.append(await snapshot(sessions, processes))
            print(snapshots[-1], file=sys.stderr)
        dry = {
            name: await dry_runs(sessions, audience, rounds, others=others, processes=processes)
            for others in (False, True)
            for name, audience in (
                (f"{name}{', all channels' if others else ''}", AUDIENCES[name]) for name in AUDIENCES
            )
        }
        plan = await plan_of(sessions, AUDIENCES["few"])
        await engine.dispose()
    return {
        "recipients": recipients,
        "snapshot": snapshots,
        "rows_per_second": statistics.median(found["rows_per_second"] for found in snapshots),
        "dry_run": dry,
        "plan_of_few": plan,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="that a snapshot writes")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="snapshots and dry runs of each kind")
    parser.add_argument("--server", metavar="URL", help="a PostgreSQL on which a database may be made")
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    report = {"python": platform.python_version(), "rounds": arguments.rounds}
    report |= uvloop.run(run(arguments.rows, arguments.rounds, arguments.server))
    print(json.dumps(report, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
