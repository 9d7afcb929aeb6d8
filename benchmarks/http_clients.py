"""What one POST costs with each HTTP client, many at once: `python -m benchmarks.http_clients [--json FILE]`.

The clients take turns in one run against one server in a process of its own, and only ratios of their medians are
worth stating: the same machine is a third faster or slower a quarter of an hour later. Takes less than a minute.
"""

import argparse
import asyncio
import json
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import cast

import aiohttp
import httpx
import uvloop
from typing_extensions import override

from benchmarks._sink import running_sink
from notifications.providers.http import HttpClient, encode_json

CONCURRENCY = 100
ROUNDS = 5
REQUESTS = {"aiohttp": 2000, "tidings": 2000, "httpx": 200}  # of a round: about a second each
BODY = encode_json({"message": {"token": "t" * 150, "notification": {"title": "Payment received", "body": "x" * 120}}})
HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer " + "x" * 120}
ANSWER = b'{"name":"projects/p/messages/0:1234567890"}'
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(ANSWER)

Post = Callable[[], Awaitable[None]]


class Sink(asyncio.Protocol):
    """Answers every request at once, as cheaply as can be."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._rest = b""

    @override
    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n") + 4) > 3 and len(self._rest) >= end + len(BODY):
            self._rest = self._rest[end + len(BODY) :]
            self._transport.write(HEAD + ANSWER)


async def measure(post: Post, requests: int) -> tuple[float, float]:
    """Requests per second, and milliseconds of this process's CPU per request."""
    left = iter(range(requests))

    async def work() -> None:
        for _ in left:
            await post()

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return requests / wall, cpu / requests * 1000


async def run(url: str) -> dict[str, dict[str, float]]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    ours = HttpClient("bench", timeout_seconds=30)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        httpx.AsyncClient(limits=limits, timeout=30, trust_env=False) as client,
    ):

        async def by_aiohttp() -> None:
            async with session.post(url, data=BODY, headers=HEADERS) as answer:
                assert await answer.read() == ANSWER

        async def by_httpx() -> None:
            assert (await client.post(url, content=BODY, headers=HEADERS)).content == ANSWER

        async def by_ours() -> None:
            deadline = time.monotonic() + 30
            answer = await ours.request("POST", url, deadline=deadline, headers=HEADERS, body=BODY)
            assert answer.body == ANSWER

        posts: dict[str, Post] = {"aiohttp": by_aiohttp, "tidings": by_ours, "httpx": by_httpx}
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in posts}
        for number in range(ROUNDS + 1):
            for name, post in posts.items():
                result = await measure(post, REQUESTS[name])
                if number:  # the first one opens the connections
                    rounds[name].append(result)
            print(f"round {number} of {ROUNDS}", file=sys.stderr)
    await ours.close()
    return {
        name: {
            "requests_per_second": round(statistics.median(rate for rate, _ in results)),
            "cpu_ms_per_request": round(statistics.median(cpu for _, cpu in results), 3),
        }
        for name, results in rounds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    with running_sink(Sink) as port:
        clients = uvloop.run(run(f"http://127.0.0.1:{port}/send"))
    base = clients["aiohttp"]["cpu_ms_per_request"]
    report = {
        "concurrency": CONCURRENCY,
        "rounds": ROUNDS,
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("aiohttp", "httpx", "httpcore", "anyio")},
        "clients": clients,
        "cpu_ratio_to_aiohttp": {name: round(found["cpu_ms_per_request"] / base, 2) for name, found in clients.items()},
    }
    print(json.dumps(report, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
