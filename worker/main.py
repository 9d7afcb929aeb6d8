"""A worker process: takes one or more roles and runs until it is told to stop."""

import asyncio
import contextlib
import gc
import http.client
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from activities.temporal import connect
from notifications.database import create_engine
from notifications.metrics_endpoint import ExtraMetrics, serve_metrics
from notifications.schema_check import check_schema
from notifications.settings import Settings, load_settings
from notifications.telemetry import configure_logging
from worker.composition import OFFER_ANSWERS, Collaborators, build_workers, channels_of, collaborators
from worker.family import Place
from worker.roles import Role, parse_roles

Reached = TypeVar("Reached")
_LOOPBACK = "127.0.0.1"

log = structlog.get_logger()


async def main(roles: Sequence[str] = (), place: Place | None = None) -> None:
    """Serve the queues of these roles (none: all) until SIGTERM or SIGINT; begun sends are seen to their end.

    `place`: among several processes of one parent, whose death ends this one as SIGTERM does.

    Raises:
        StaleSchemaError: the database is not at this code's revision.
        ValueError: a role or a setting is wrong; says which.

    """
    settings = load_settings()
    chosen = parse_roles(list(roles))
    configure_logging(_name(chosen, place), settings.log_format)
    await _refuse_stale_schema(settings)
    metrics_port = settings.metrics_port + (place.number if place and settings.metrics_port else 0)
    runtime, sdk_metrics = _runtime(settings)
    client = await _patiently("temporal", lambda: connect(runtime=runtime, retry_config=OFFER_ANSWERS))
    stop = _stop_event(place)
    async with collaborators(settings, client, channels_of(chosen)) as built:
        workers = build_workers(chosen, settings, client, built)
        # What a worker is made of stays until it ends. So many objects come and go with messages under way that the
        # collector would look through all of it once for every few thousand of them.
        gc.collect()
        gc.freeze()
        async with (
            serve_metrics(settings.metrics_host, metrics_port, sdk_metrics, lambda: _problems(built)),
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


def _name(roles: Sequence[Role], place: Place | None) -> str:
    name = f"worker-{'-'.join(roles) if len(roles) < len(Role) else 'all'}"
    return f"{name}-{place.number + 1}" if place else name


def _stop_event(place: Place | None) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if place is not None:
        lifeline = place.lifeline

        def orphaned() -> None:
            loop.remove_reader(lifeline)  # it stays readable
            log.warning("worker.orphaned")
            stop.set()

        loop.add_reader(lifeline, orphaned)
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
        probe.bind((_LOOPBACK, 0))
        port = probe.getsockname()[1]
    prometheus = PrometheusConfig(
        bind_address=f"{_LOOPBACK}:{port}", counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )

    async def read() -> bytes:
        return await asyncio.to_thread(_page, port)

    return Runtime(telemetry=TelemetryConfig(metrics=prometheus)), read


def _page(port: int) -> bytes:
    connection = http.client.HTTPConnection(_LOOPBACK, port, timeout=2.0)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read()
    finally:
        connection.close()


async def _problems(built: Collaborators) -> dict[str, str]:
    try:
        async with built.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the answer is "not ready"
        return {"postgres": f"does not answer ({type(error).__name__})"}
    return {}
