"""What a campaign's export costs in time and memory: `python -m benchmarks.export`.

One campaign of `--rows` messages is written into a PostgreSQL 18 of its own; `--server` names another one. All of them
go into a CSV and an NDJSON file, whose bytes are thrown away, and the process says how much memory it had after the
first blocks, and at most.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from pydantic import SecretStr

from benchmarks._audience import insert_campaign
from benchmarks.snapshot import database
from notifications.campaigns.accounts import count
from notifications.campaigns.messages import Chosen, ExportFormat, export
from notifications.database import Sessions, create_engine, create_sessions, execute, transaction
from notifications.migrations import migrate

ROWS = 1_000_000
_BLOCK = 50_000  # rows of one transaction
_WARM_BYTES = 1_000_000  # after which every piece of code has run

_MESSAGES = """
INSERT INTO messages (origin_id, seq, origin_kind, type, category, channel, definition, definition_version,
                      recipient_id, address, locale, duplicates, retry_for, expires_at, status, reason, plan_version,
                      step, round, attempt, failures, version, consent, provider, provider_message_id)
SELECT :campaign, n, 'campaign', 'promotional', 'offers', 'email', 'spring-sale', 1,
       'cus_' || n, 'person' || n || '@example.org', 'en', 'at_most_once', interval '30 minutes',
       now() + interval '1 day', CASE WHEN n % 20 = 0 THEN 'skipped' ELSE 'sent' END,
       CASE WHEN n % 20 = 0 THEN 'opted_out' END, 1, 0, 1, 1, 0, 0, 'tidings', 'smtp', md5(CAST(n AS text))
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
"""


async def fill(sessions: Sessions, rows: int) -> UUID:
    campaign = await insert_campaign(sessions, {"all": True})
    for first in range(1, rows + 1, _BLOCK):
        last = min(first + _BLOCK - 1, rows)
        async with transaction(sessions) as session:
            await execute(session, _MESSAGES, {"campaign": campaign, "first": first, "last": last})
    return campaign


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


async def written(sessions: Sessions, campaign: UUID, kind: ExportFormat) -> dict[str, Any]:
    size, rows, warm, most, begun = 0, 0, 0.0, 0.0, time.perf_counter()
    async for piece in export(sessions, campaign, Chosen(), kind):
        size += len(piece)
        rows += piece.count(b"\n")
        most = max(most, _resident_mb())
        warm = warm or (most if size > _WARM_BYTES else 0.0)
    seconds = time.perf_counter() - begun
    figures = {"rows": rows, "mb": round(size / 1e6), "seconds": round(seconds, 1)}
    return figures | {"resident_mb_warm": round(warm, 1), "resident_mb_most": round(most, 1)}


async def run(rows: int, server: str | None) -> dict[str, Any]:
    async with database(server) as (url, _):
        engine = create_engine(SecretStr(url))
        await migrate(engine)
        sessions = create_sessions(engine)
        campaign = await fill(sessions, rows)
        report: dict[str, Any] = {}
        for kind in ExportFormat:
            report[kind] = await written(sessions, campaign, kind)
            print(kind, report[kind], file=sys.stderr)
        begun = time.perf_counter()
        await count(sessions, campaign)
        report["account_seconds"] = round(time.perf_counter() - begun, 2)
        await engine.dispose()
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="messages of the campaign")
    parser.add_argument("--server", metavar="URL", help="a PostgreSQL on which a database may be made")
    arguments = parser.parse_args()
    print(json.dumps(uvloop.run(run(arguments.rows, arguments.server)), indent=2))


if __name__ == "__main__":
    main()
