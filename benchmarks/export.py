"""What a campaign's export costs in time and memory: `python -m benchmarks.export`.

One campaign of `--rows` messages is written into a PostgreSQL 18 of its own; `--server` names another one. An API
process gives all of them as a CSV and as an NDJSON file to a client that throws the bytes away. Its memory (PSS) is
read before each, every few megabytes, and afterwards. Needs Linux.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import uvloop
from pydantic import SecretStr

from benchmarks._audience import insert_campaign
from benchmarks.snapshot import database
from notifications.campaigns.accounts import count
from notifications.campaigns.messages import ExportFormat
from notifications.database import Sessions, create_engine, create_sessions, execute, transaction
from notifications.migrations import migrate

ROWS = 1_000_000
_BLOCK = 50_000  # rows of one transaction
_LOOK_BYTES = 5_000_000  # after which memory is read again
_PATIENCE = 60.0  # seconds
_SECRET = "only for this process of a benchmark"  # noqa: S105 - its server and its database are gone with it

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


@asynccontextmanager
async def api(database_url: str) -> AsyncIterator[tuple[httpx.AsyncClient, int]]:
    """An API process of its own, and a client that may use it; neither Temporal nor Kafka is asked for anything."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    settings = {"DATABASE_URL": database_url, "API_PORT": port, "API_TOKEN": _SECRET, "HASH_KEY": _SECRET}
    environ = os.environ | {f"TIDINGS_{name}": value for name, value in settings.items()}
    environ |= {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "TIDINGS_LOG_FORMAT": "json"}
    command = (sys.executable, "-m", "tidings", "api")
    unseen = asyncio.subprocess.DEVNULL  # it says all the time that there is no Kafka
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=unseen, stderr=unseen)
    headers = {"Authorization": f"Bearer {_SECRET}"}
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as client:
            async with asyncio.timeout(_PATIENCE):
                while not await _serves(client):  # noqa: ASYNC110 - another process listens, or not yet
                    await asyncio.sleep(0.2)
            yield client, process.pid
    finally:
        process.terminate()
        await process.wait()


async def _serves(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.TransportError):
        return (await client.get("/healthz")).is_success
    return False


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


async def written(client: httpx.AsyncClient, pid: int, campaign: UUID, kind: ExportFormat) -> dict[str, Any]:
    size, rows, memory, begun = 0, 0, [_pss_mb(pid)], time.perf_counter()
    async with client.stream("GET", f"/v1/campaigns/{campaign}/export", params={"format": kind}) as answer:
        answer.raise_for_status()
        async for piece in answer.aiter_raw():
            if (size + len(piece)) // _LOOK_BYTES > size // _LOOK_BYTES:
                memory.append(_pss_mb(pid))
            size += len(piece)
            rows += piece.count(b"\n")
    seconds = time.perf_counter() - begun
    figures = {"rows": rows, "mb": round(size / 1e6), "seconds": round(seconds, 1)}
    figures["rows_per_second"] = round(rows / seconds)
    read = {"before": memory[0], "most": max(memory), "after": _pss_mb(pid)}
    return figures | {f"pss_mb_{when}": round(value, 1) for when, value in read.items()}


async def run(rows: int, server: str | None) -> dict[str, Any]:
    async with database(server) as (url, _):
        engine = create_engine(SecretStr(url))
        await migrate(engine)
        sessions = create_sessions(engine)
        campaign = await fill(sessions, rows)
        report: dict[str, Any] = {}
        async with api(url) as (client, pid):
            for kind in ExportFormat:
                report[kind] = await written(client, pid, campaign, kind)
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
