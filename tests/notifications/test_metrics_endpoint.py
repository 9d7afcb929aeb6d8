"""The metrics endpoint, and the answers about a process's health beside it."""

import asyncio
import contextlib
import socket

import httpx
import pytest
from prometheus_client import Counter

from notifications.metrics_endpoint import metrics_text, serve_metrics

COUNTED = Counter("tidings_endpoint_test", "Counts in a test.")


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_metrics_health_and_readiness_are_served(port: int):
    problems: dict[str, str] = {}

    async def extra() -> bytes:
        return b"temporal_sdk_metric 1\n"

    async with (
        serve_metrics("127.0.0.1", port, extra, lambda: problems),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        COUNTED.inc()
        metrics = await client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain; version=")
        assert "tidings_endpoint_test_total" in metrics.text
        assert metrics.text.endswith("temporal_sdk_metric 1\n")
        assert (await client.get("/healthz")).json() == {"status": "alive"}
        assert (await client.get("/readyz")).status_code == 200
        problems["database"] = "does not answer"
        answer = await client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not ready", "problems": {"database": "does not answer"}}


async def test_a_readiness_check_may_be_awaitable_and_its_failure_is_a_problem(port: int):
    outcomes: list[dict[str, str] | Exception] = [{}, {"kafka": "no broker"}, RuntimeError("secret")]

    async def ready() -> dict[str, str]:
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async with (
        serve_metrics("127.0.0.1", port, ready=ready),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client,
    ):
        answers = [await client.get("/readyz") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 503, 503]
    assert "RuntimeError" in answers[2].text
    assert "secret" not in answers[2].text


async def test_a_failing_extra_source_does_not_hide_our_own_metrics():
    async def broken() -> bytes:
        raise OSError

    assert b"tidings_endpoint_test" in await metrics_text(broken)


async def test_port_0_serves_nothing_and_a_taken_port_says_what_to_do(port: int):
    async with serve_metrics("127.0.0.1", 0):
        pass
    async with serve_metrics("127.0.0.1", port):
        with pytest.raises(RuntimeError, match="TIDINGS_METRICS_PORT"):
            async with serve_metrics("127.0.0.1", port):
                raise AssertionError
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/metric", 404), ("POST", "/metrics", 405), ("GET", "/healthz?x=1", 200)]
)
async def test_only_what_is_there_is_answered(port: int, method: str, path: str, status: int):
    async with serve_metrics("127.0.0.1", port), httpx.AsyncClient() as client:
        assert (await client.request(method, f"http://127.0.0.1:{port}{path}")).status_code == status


async def test_a_question_for_the_head_gets_no_body(port: int):
    async with serve_metrics("127.0.0.1", port), httpx.AsyncClient() as client:
        answer = await client.head(f"http://127.0.0.1:{port}/healthz")
    assert (answer.status_code, int(answer.headers["content-length"]), answer.content) == (200, 18, b"")


@pytest.mark.parametrize("said", [b"", b"GET /metrics HTTP/1.1\r\n", b"x" * 200_000], ids=["none", "part", "no_end"])
async def test_who_says_nothing_of_use_harms_nobody(port: int, said: bytes):
    async with serve_metrics("127.0.0.1", port), httpx.AsyncClient() as client:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        writer.close()
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200


async def test_the_end_does_not_wait_for_who_is_still_connected(port: int):
    async with asyncio.timeout(5):
        async with serve_metrics("127.0.0.1", port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /readyz")
            await writer.drain()
        with contextlib.suppress(ConnectionResetError):  # where it had not been taken yet
            assert await reader.read() == b""
        writer.close()
