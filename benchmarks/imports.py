"""How fast a file of recipients is taken and written, and in how much memory: `python -m benchmarks.imports`.

A file of `--rows` rows with names, addresses, phone numbers, attributes and a choice of consent goes, as the API takes
it, into staging, and from there into recipients, as a worker writes it; then the same file once more, of which nothing
is new. All in this one process, with a PostgreSQL 18 of its own, which syncs every commit; `--server` names another
one.

About six minutes and 2 GB of disk at 1,000,000 rows. Needs Linux.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import uvloop
from pydantic import SecretStr

from benchmarks._audience import OFFERS, publish
from benchmarks.snapshot import database
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, create_engine, create_sessions
from notifications.imports.blocks import ImportBlocks
from notifications.imports.uploads import NewImport, Uploads
from notifications.migrations import migrate
from notifications.statuses import ImportFormat
from notifications.tables import Import

ROWS = 1_000_000
_CHUNK = 64 * 1024  # bytes, as the API gets them from its socket
_HEADER = (
    "id,name,email,phone,locale,timezone,attributes.plan,attributes.visits:number,consent.offers.email,consent_time"
)


@dataclass
class Meter:
    """Of one part: seconds, CPU seconds of this process, and its memory in MB after each tenth."""

    total: int
    began: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)
    memory: list[float] = field(default_factory=list)

    def passed(self, done: int) -> None:
        if done >= self.total * (len(self.memory) + 1) / 10:
            self.memory.append(pss())

    def figures(self) -> dict[str, Any]:
        seconds = time.perf_counter() - self.began
        return {
            "seconds": round(seconds, 1),
            "rows_per_second": round(self.total / seconds),
            "cpu_seconds": round(time.process_time() - self.cpu, 1),
            "pss_mb": self.memory,
        }


def pss() -> float:
    """The proportional set size of this process in MB."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024, 1)


def write_file(path: Path, rows: int) -> int:
    """One row in a thousand has an address that cannot be used. Returns the size in bytes."""
    with path.open("w", encoding="utf-8") as file:
        file.write(_HEADER + "\n")
        for n in range(rows):
            email = "nobody" if n % 1_000 == 0 else f"person{n}@example{n % 500}.org"
            file.write(
                f"cus_{n},Person {n},{email},+49151{n:08d},de-AT,Europe/Vienna,"
                f"{'free' if n % 10 == 0 else 'pro'},{n % 97},{'true' if n % 20 else 'false'},2026-03-01T09:00:00Z\n"
            )
    return path.stat().st_size


async def chunks(path: Path, told: Callable[[int], None]) -> AsyncIterator[bytes]:
    sent = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            sent += len(chunk)
            told(sent)


async def one_import(sessions: Sessions, path: Path, rows: int, size: int) -> dict[str, Any]:
    uploads = Uploads(sessions, {OFFERS.name: OFFERS}, max_bytes=2**40)
    staging = Meter(rows)
    row = await uploads.begin(
        NewImport(format=ImportFormat.CSV), chunks(path, lambda sent: staging.passed(sent * rows // size))
    )
    staged = staging.figures()
    print(f"  staged: {staged}", file=sys.stderr)
    return {"staging": staged, **await written(sessions, row.id, rows)}


async def written(sessions: Sessions, import_id: UUID, rows: int) -> dict[str, Any]:
    blocks = ImportBlocks(sessions, CatalogueStore(sessions), hash_key=b"a key for benchmarks")
    writing, slowest = Meter(rows), 0.0
    while True:
        at = time.perf_counter()
        progress, _ = await blocks.advance(import_id)
        slowest = max(slowest, time.perf_counter() - at)
        writing.passed(progress.rows)
        if progress.finished:
            break
    figures = writing.figures() | {"slowest_block_ms": round(1_000 * slowest)}
    print(f"  written: {figures}", file=sys.stderr)
    async with sessions() as session:
        row = await session.get(Import, import_id)
    assert row is not None
    names = ("rows", "created", "updated", "unchanged", "superseded", "refused", "choices", "older_choices")
    return {"writing": figures, "counts": {name: getattr(row, name) for name in names}}


async def run(rows: int, server: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tidings-benchmark-") as folder:
        path = Path(folder) / "people.csv"
        size = write_file(path, rows)
        async with database(server) as (url, _):
            engine = create_engine(SecretStr(url))
            await migrate(engine)
            sessions = create_sessions(engine)
            await publish(sessions)
            found: dict[str, Any] = {"file_bytes": size}
            for name in ("new", "again"):
                print(f"{rows:,} rows, {name}", file=sys.stderr)
                found[name] = await one_import(sessions, path, rows, size)
            await engine.dispose()
    return found | {"peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="of the file")
    parser.add_argument("--server", metavar="URL", help="a PostgreSQL on which a database may be made")
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    options = parser.parse_args()
    found = uvloop.run(run(options.rows, options.server))
    print(json.dumps(found, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
