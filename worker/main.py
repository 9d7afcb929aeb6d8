"""A worker process: takes one or more roles and runs until it is told to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import httpx
import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from activities.temporal import connect
from notifications.database import create_engine
from notifications.migrations import check_schema
from notifications.settings import Settings, load_settings
from notifications.telemetry import ExtraMetrics, configure_logging, serve_metrics
from worker.composition import OFFER_ANSWERS, Collaborators, build_workers, channels_of, collaborators
from worker.roles import Role, parse_roles

Reached = TypeVar("Reached")

log = structlog.get_logger()


async def main(roles: Sequence[str] = ()) -> None:
    """Serve the queues of these roles (none: all) until SIGTERM or SIGINT; begun sends are seen to their end.

    Raises:
        StaleSchemaError: the database is not at this code's revision.
        ValueError: a role or a setting is wrong; says which.

    """
    settings = load_settings()
    chosen = parse_roles(list(roles))
    configure_logging(f"worker-{'-'.join(chosen) if len(chosen) < len(Role) else 'all'}", settings.log_format)
    await _refuse_stale_schema(settings)
    runtime, sdk_metrics = _runtime(settings)
    client = await _patiently("temporal", lambda: connect(runtime=runtime, retry_config=OFFER_ANSWERS))
    stop = _stop_event()
    async with collaborators(settings, client, channels_of(chosen)) as built:
        workers = build_workers(chosen, settings, client, built)
        async with (
            serve_metrics(settings.metrics_host, settings.metrics_port, sdk_metrics, lambda: _problems(built)),
            contextlib.AsyncExitStack() as running,
        ):
            for worker in workers:
                await running.enter_async_context(worker)
            log.info(
                "worker.started", roles=[str(role) for role in chosen], queues=[each.task_queue for each in workers]
            )
            await stop.wait()
            log.info("worker.stopping")
            await asyncio.gather(*(worker.shutdown() for worker in workers))
    log.info("worker.stopped")
    await asyncio.sleep(0.1)  # the SDK's threads crash an interpreter that exits at once


def _stop_event() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _refuse_stale_schema(settings: Settings) -> None:
    engine = create_engine(settings.database_url, pool_size=1)
    try:
        await _patiently("postgres", lambda: check_schema(engine))
    finally:
        await engine.dispose()


async def _patiently(server: str, attempt: Callable[[], Awaitable[Reached]]) -> Reached:
    """Wait for a server that does not answer yet: processes may start in any order."""
    pause = 0.2
    while True:
        try:
            return await attempt()
        except (OperationalError, OSError, RuntimeError) as error:
            log.warning("server.unavailable", server=server, error=type(error).__name__, next_try_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, 5.0)


def _runtime(settings: Settings) -> tuple[Runtime, ExtraMetrics | None]:
    """The SDK serves its own metrics on a private loopback port; the process's endpoint adds them to ours."""
    if settings.metrics_port == 0:
        return Runtime(telemetry=TelemetryConfig()), None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    prometheus = PrometheusConfig(
        bind_address=address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )

    async def read() -> bytes:
        async with httpx.AsyncClient(timeout=2.0) as http:
            return (await http.get(f"http://{address}/metrics")).raise_for_status().content

    return Runtime(telemetry=TelemetryConfig(metrics=prometheus)), read


async def _problems(built: Collaborators) -> dict[str, str]:
    try:
        async with built.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        return {"postgres": f"does not answer ({type(error).__name__})"}
    return {}
