"""The stack that is put to the test: every process real, Postgres behind a line that can be made slow."""

import os
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from rich.console import Console

from benchmarks._stack import processes
from benchmarks.isolation.load import Load, load_recipients
from benchmarks.isolation.slow_postgres import SlowLine
from bridge.kafka_settings import kafka_config
from bridge.producer import EventProducer
from devstack.applications import APPLICATION_NAMES
from devstack.ports import HOST, free_ports
from devstack.postgres import postgres_url, start_postgres
from devstack.preparation import Database
from devstack.processes import Spawner
from devstack.state import read_variables
from devstack.supervisor import SERVER_NAMES, Stack, StackOptions, running_stack

_TIMEOUTS = ("start_to_close_timeout", "schedule_to_start_timeout")
_QUIET = (*SERVER_NAMES, *APPLICATION_NAMES, "stack", "catalogue")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """`pids` are those of the servers and of Tidings' own processes."""

    stack: Stack
    line: SlowLine
    load: Load
    api: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    http: httpx.AsyncClient
    temporal_metrics: str
    pids: dict[str, int]

    async def slow_down(self, provider: str, latency_ms: float) -> None:
        (await self.sandbox.put(f"/api/faults/{provider}", json={"latency_ms": latency_ms})).raise_for_status()

    async def pause(self, provider: str) -> None:
        (await self.api.post(f"/v1/providers/{provider}/pause")).raise_for_status()

    async def resume(self, provider: str) -> None:
        (await self.api.post(f"/v1/providers/{provider}/resume")).raise_for_status()

    async def lag(self) -> float:
        """Records that wait in Kafka, as the bridge's metric has it."""
        return await self._sum(self.stack.endpoints.metrics["bridge"], "tidings_bridge_lag")

    async def activity_starts(self, process: str) -> float:
        """Activity tasks that a worker process has taken up so far."""
        name = "temporal_activity_schedule_to_start_latency_seconds_count"
        return await self._sum(self.stack.endpoints.metrics[process], name)

    async def timeouts(self) -> Counter[str]:
        """Time-outs of workflow tasks and of activities (each try) so far, as the Temporal server counts them."""
        found: Counter[str] = Counter()
        for sample in await self._samples(self.temporal_metrics):
            name = sample.name.removesuffix("_total")
            if name == "activity_task_timeout":
                found[f"{sample.labels['activityType']}: {sample.labels['timeout_type']}"] += int(sample.value)
            elif name in _TIMEOUTS and sample.labels.get("operation") == "TimerActiveTaskWorkflowTaskTimeout":
                found[f"workflow task: {name}"] += int(sample.value)
        return found

    async def _sum(self, url: str, name: str) -> float:
        return sum(sample.value for sample in await self._samples(url) if sample.name == name)

    async def _samples(self, url: str) -> list[Sample]:
        text = (await self.http.get(url)).raise_for_status().text
        # The Temporal server shows megabytes of histograms: leave them out before they are parsed.
        kept = "\n".join(line for line in text.splitlines() if "_bucket{" not in line) + "\n"
        return [sample for family in text_string_to_metric_families(kept) for sample in family.samples]


@asynccontextmanager
async def running_bench() -> AsyncIterator[Bench]:
    """A stack of its own in a folder that goes at the end; other stacks of this machine are left alone."""
    with tempfile.TemporaryDirectory(prefix="tidings-benchmark-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o755)  # noqa: PTH101, S103 - PostgreSQL may run as another user, who has to reach its data
        folder, (port,) = Path(name), free_ports(1)
        spawner = Spawner(lambda _name, _line: None)
        server = await start_postgres(folder / "postgres", port, spawner)
        database, line = Database(server.url), SlowLine(HOST, port)
        try:
            await database.migrate()
            await database.apply_catalogue(lambda _line: None)
            await load_recipients(database.sessions)
            os.environ |= {
                "TIDINGS_DATABASE_URL": postgres_url(await line.start(HOST)),
                "TIDINGS_MAX_RETRY_FOR": "30m",  # nothing here is meant to get stuck
                "TIDINGS_LOG_FORMAT": "json",
            }
            options = StackOptions(state=folder / "state", quiet=_QUIET)
            async with (
                running_stack(options, Console(stderr=True)) as stack,
                _connected(stack, line, database, folder / "state") as bench,
            ):
                bench.pids["postgres"] = server.service.process.pid
                yield bench
        finally:
            await line.stop()
            await database.close()
            await spawner.stop_all()


@asynccontextmanager
async def _connected(stack: Stack, line: SlowLine, database: Database, state: Path) -> AsyncIterator[Bench]:
    token = read_variables(state)["TIDINGS_API_TOKEN"]
    banner = (state / "logs" / "temporal.log").read_text(encoding="utf-8")
    found = re.search(r"Metrics:\s+(\S+)", banner)
    assert found is not None, "the Temporal server does not say where its metrics are"
    async with (
        EventProducer(
            kafka_config({"KAFKA_BOOTSTRAP_SERVERS": stack.endpoints.kafka}), delivery_timeout=60
        ) as producer,
        httpx.AsyncClient(base_url=stack.endpoints.api, headers={"authorization": f"Bearer {token}"}) as api,
        httpx.AsyncClient(base_url=stack.endpoints.sandbox) as sandbox,
        httpx.AsyncClient(timeout=30) as http,
    ):
        yield Bench(
            stack=stack,
            line=line,
            load=Load(producer, database.sessions),
            api=api,
            sandbox=sandbox,
            http=http,
            temporal_metrics=found[1],
            pids=processes(stack),
        )
