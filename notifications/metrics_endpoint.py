"""`/metrics`, `/healthz` and `/readyz` of a process without an API: one small answer for each connection.

Written on asyncio's streams, since a web framework would take 8 MB of each worker for three fixed answers.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus

import orjson
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

READY_TIMEOUT = 5.0  # seconds that a readiness check may take
REQUEST_TIMEOUT = 10.0  # seconds for a request to come, and for its answer to be taken

ExtraMetrics = Callable[[], Awaitable[bytes]]
Readiness = Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = "application/json; charset=utf-8"

    def encoded(self, *, with_body: bool) -> bytes:
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\nContent-Type: {self.content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + (self.body if with_body else b"")


async def metrics_text(extra: ExtraMetrics | None = None) -> bytes:
    """Our metrics in Prometheus' text format; `extra` adds those of another source (the Temporal SDK).

    A failing extra source is left out and logged: it must not hide our own.
    """
    own = generate_latest()
    if extra is None:
        return own
    try:
        return own + await extra()
    except Exception as error:  # noqa: BLE001 - whatever the source raises
        log.warning("metrics.extra_source_failed", error=type(error).__name__)
        return own


async def _problems(ready: Readiness | None) -> Mapping[str, str]:
    if ready is None:
        return {}
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            answer = ready()
            return await answer if inspect.isawaitable(answer) else answer
    except Exception as error:  # noqa: BLE001 - a check that fails is a process that is not ready
        return {"readiness": f"the check itself failed ({type(error).__name__})"}


class _Door:
    """Answers one connection after the other's request; `close` ends those that are open."""

    def __init__(self, extra: ExtraMetrics | None, ready: Readiness | None) -> None:
        self._extra = extra
        self._ready = ready
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs this as one
        self._open[task] = writer
        try:
            # Whoever connects and goes, says nothing, or sends no request, is nobody's problem.
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                async with asyncio.timeout(REQUEST_TIMEOUT):
                    request = await reader.readuntil(b"\r\n\r\n")
                answer = await self._answer(request)
                async with asyncio.timeout(REQUEST_TIMEOUT):
                    writer.write(answer)
                    await writer.drain()
        finally:
            del self._open[task]
            writer.close()

    async def close(self) -> None:
        tasks = list(self._open)
        for writer in self._open.values():
            writer.close()  # not cancelled: asyncio's streams of Python 3.11 log that as an error
        await asyncio.gather(*tasks)

    async def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        if method not in {b"GET", b"HEAD"}:
            return _Answer(HTTPStatus.METHOD_NOT_ALLOWED, b"{}").encoded(with_body=True)
        path = rest.partition(b" ")[0].partition(b"?")[0]
        return (await self._page(path)).encoded(with_body=method == b"GET")

    async def _page(self, path: bytes) -> _Answer:
        match path:
            case b"/metrics":
                return _Answer(HTTPStatus.OK, await metrics_text(self._extra), CONTENT_TYPE_LATEST)
            case b"/healthz":
                return _Answer(HTTPStatus.OK, orjson.dumps({"status": "alive"}))
            case b"/readyz":
                problems = await _problems(self._ready)
                status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
                said = {"status": "not ready" if problems else "ready", "problems": dict(problems)}
                return _Answer(status, orjson.dumps(said))
        return _Answer(HTTPStatus.NOT_FOUND, b"{}")


@asynccontextmanager
async def serve_metrics(
    host: str, port: int, extra: ExtraMetrics | None = None, ready: Readiness | None = None
) -> AsyncIterator[None]:
    """Serve `/metrics`, `/healthz` and `/readyz` while the block runs; port 0 serves nothing.

    `ready` gives the problems by name, for people; none means ready. It may be awaitable.

    Raises:
        RuntimeError: the port cannot be had.

    """
    if port == 0:
        yield
        return
    door = _Door(extra, ready)
    try:
        server = await asyncio.start_server(door.take, host, port)
    except OSError as error:
        raise RuntimeError(
            f"cannot serve metrics on {host}:{port} ({error.strerror}): set TIDINGS_METRICS_PORT to a free port"
        ) from error
    try:
        yield
    finally:
        server.close()
        await door.close()
