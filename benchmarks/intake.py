"""What one bridge process takes in: `python -m benchmarks.intake [--json FILE]`.

Events on Apache Kafka, PostgreSQL and a bridge process are real; only the requests to start workflows are answered by a
stub on loopback (`_temporal_stub.py`), since a development server would be the limit. An event counts once its row says
that its workflow was started. Beside it, the database's part alone: `IntakeStore.store` in batches as the bridge makes
them, one after the other. Blocks take turns; medians. Takes about a minute and needs Linux.
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
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks._processes import Usage, per_thousand, read, usage
from benchmarks._stack import TOPIC, event_ids, one_time_code, produce, recipient_of
from bridge.kafka_settings import kafka_config
from bridge.producer import EventProducer
from bridge.topics import all_topics
from devstack.health import http_answers, wait_until_healthy
from devstack.kafka import PARTITIONS, start_kafka
from devstack.ports import HOST, free_ports
from devstack.postgres import start_postgres
from devstack.preparation import Database, create_topics
from devstack.processes import Command, GuardedProcess, Spawner
from devstack.state import ROOT
from notifications.campaigns.events import CampaignEvents
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, execute
from notifications.events import Record, parse
from notifications.events.intent import Interpreter
from notifications.ledger import Ledger
from notifications.queries.intake import Arrival, IntakeStore
from notifications.settings import Settings

BATCH = 100  # records, as the bridge reads them
LOOK_EVERY = 0.1  # seconds
WARM_UP = 500
HASH_KEY = "a key for benchmarks only, 32 bytes"
_STARTED = "SELECT count(*) FROM notifications WHERE started_at IS NOT NULL"

_lines: deque[str] = deque(maxlen=200)


@dataclass(frozen=True)
class Bench:
    sessions: Sessions
    producer: EventProducer
    pids: dict[str, int]

    async def bridge(self, count: int) -> Usage:
        """From the first event produced to the last one marked as started."""
        expected = await self._started() + count
        before = read(self.pids)
        await produce(self.producer, event_ids(count))
        while await self._started() < expected:  # noqa: ASYNC110 - the database tells only when asked
            await asyncio.sleep(LOOK_EVERY)
        return usage(before, read(self.pids))

    async def _started(self) -> int:
        async with self.sessions() as session:
            return int((await execute(session, _STARTED)).scalar_one())

    async def database(self, count: int) -> Usage:
        """Store as many events as the bridge would, already parsed and judged; no workflow will start them."""
        store = IntakeStore(
            self.sessions,
            ledger=Ledger(self.sessions, process="benchmark"),
            campaigns=CampaignEvents(CatalogueStore(self.sessions).current, Settings()),
            hash_key=HASH_KEY.encode(),
        )
        batches = list(await self._arrivals(count))
        before = read(self.pids)
        for batch in batches:
            stored = await store.store(batch)
            assert len(stored.starts) == len(batch)
        return usage(before, read(self.pids))

    async def _arrivals(self, count: int) -> Iterator[list[Arrival]]:
        definitions, interpreter = await CatalogueStore(self.sessions).current(), Interpreter()
        records = [
            Record(topic=TOPIC, partition=0, offset=number, value=one_time_code(event_id, recipient_of(number)))
            for number, event_id in enumerate(event_ids(count))
        ]
        arrivals = [Arrival(each, interpreter.interpret(parse(each), definitions, topic=TOPIC)) for each in records]
        return (arrivals[first : first + BATCH] for first in range(0, count, BATCH))


@contextmanager
def server_folder() -> Iterator[Path]:
    """A folder for servers, gone at the end; PostgreSQL may run as another user, who has to reach its data."""
    with tempfile.TemporaryDirectory(prefix="tidings-benchmark-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def bench() -> AsyncIterator[Bench]:
    """Start what a bridge needs, and one bridge."""
    spawner = Spawner(lambda name, line: _lines.append(f"{name}: {line}"))
    kafka_port, postgres_port, temporal_port, metrics_port = free_ports(4)
    with server_folder() as folder:
        try:
            kafka, postgres, stub = await asyncio.gather(
                start_kafka(folder / "kafka", kafka_port, spawner, topics=all_topics()),
                start_postgres(folder / "postgres", postgres_port, spawner),
                _start_stub(spawner, temporal_port),
            )
            if kafka.fallback is not None:
                sys.exit(f"this benchmark needs Apache Kafka: {kafka.fallback}")
            database = Database(postgres.url)
            await database.migrate()
            await asyncio.gather(
                database.apply_catalogue(print), create_topics(kafka.bootstrap, all_topics(), PARTITIONS)
            )
            environment = {
                **os.environ,
                "TIDINGS_DATABASE_URL": postgres.url,
                "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
                "TEMPORAL_ADDRESS": f"{HOST}:{temporal_port}",
                "TIDINGS_HASH_KEY": HASH_KEY,
                "TIDINGS_METRICS_PORT": str(metrics_port),
                "TIDINGS_MAX_UNTRIED": "100000000",  # nothing is ever tried here
            }
            bridge = await _start_bridge(spawner, environment, metrics_port)
            pids = {one.name: one.pid for one in (kafka.service.process, postgres.service.process, stub, bridge)}
            async with EventProducer(kafka_config({"KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap})) as producer:
                yield Bench(database.sessions, producer, pids)
            await database.close()
        except BaseException:
            print(*_lines, sep="\n", file=sys.stderr)
            raise
        finally:
            await spawner.stop_all()


async def _start_stub(spawner: Spawner, port: int) -> GuardedProcess:
    argv = (sys.executable, "-m", "benchmarks._temporal_stub", str(port))
    return await spawner.start(Command(name="temporal-stub", argv=argv, cwd=ROOT))


async def _start_bridge(spawner: Spawner, environment: dict[str, str], metrics_port: int) -> GuardedProcess:
    argv = (sys.executable, "-m", "tidings", "bridge")
    process = await spawner.start(Command(name="bridge", argv=argv, env=environment, cwd=ROOT))
    ready = f"http://{HOST}:{metrics_port}/readyz"
    await wait_until_healthy(process, lambda: http_answers(ready), timeout_seconds=60, advice="its log is above")
    return process


def figures(blocks: list[Usage], count: int) -> dict[str, Any]:
    rates = [count / block.seconds for block in blocks]
    return {
        "per_second": round(statistics.median(rates)),
        "per_second_range": [round(min(rates)), round(max(rates))],
        "cpu_seconds_per_1000": per_thousand(blocks, count * len(blocks)),
        "busy_cores": round(statistics.median(block.busy_cores for block in blocks), 2),
        "foreign_cores": round(statistics.median(block.foreign_cores for block in blocks), 2),
    }


async def run(count: int, rounds: int) -> dict[str, Any]:
    blocks: dict[str, list[Usage]] = {"bridge": [], "database": []}
    async with bench() as one:
        await one.bridge(WARM_UP)
        await one.database(WARM_UP)
        for number in range(1, rounds + 1):
            blocks["bridge"].append(await one.bridge(count))
            blocks["database"].append(await one.database(count))
            print(f"round {number} of {rounds}", file=sys.stderr)
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "events_per_block": count,
        "batch": BATCH,
        "rounds": rounds,
        **{name: figures(found, count) for name, found in blocks.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=4000, metavar="N", help="of each block")
    parser.add_argument("--rounds", type=int, default=3, help="blocks of each part")
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    began = time.monotonic()
    report = uvloop.run(run(arguments.events, arguments.rounds))
    print(json.dumps(report, indent=2))
    print(f"took {time.monotonic() - began:.0f} s", file=sys.stderr)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
