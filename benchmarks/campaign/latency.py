"""One-time codes beside a campaign: how long an event takes to its provider, alone and while millions are sent."""

import asyncio
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx

from benchmarks._stack import TOPIC, event_ids, event_producer, message_of, one_time_code, recipient_of
from benchmarks.campaign.house import House
from benchmarks.campaign.rows import Bench, Row, summary
from bridge.producer import EventProducer

PER_SECOND = 10
IDLE_SECONDS = 30
_WARM_UP = 20  # codes
_LOOK_EVERY = 0.5  # seconds
_LOOK_AFTER = 50  # codes
_LISTED = 500  # more than can have come since the last look


class Codes:
    """Produces events on time, and asks the sandbox when each arrived."""

    def __init__(self, producer: EventProducer, sandbox: httpx.AsyncClient) -> None:
        self._producer = producer
        self._sandbox = sandbox

    async def send(self, count: int) -> list[float]:
        """Milliseconds of each, from being produced to the provider."""
        stop = asyncio.Event()
        return await self.send_until(stop, most=count)

    async def send_until(self, stop: asyncio.Event, *, most: int | None = None) -> list[float]:
        (await self._sandbox.delete("/api/inbox")).raise_for_status()
        begun: dict[str, float] = {}
        arrived: dict[str, float] = {}
        first = time.time()
        while not stop.is_set() and (most is None or len(begun) < most):
            (event_id,), recipient = event_ids(1), recipient_of(len(begun))
            begun[message_of(event_id)] = time.time()
            await self._producer.produce(TOPIC, recipient, one_time_code(event_id, recipient))
            if len(begun) % _LOOK_AFTER == 0:
                arrived |= await self._arrived()
            # On time whatever became of the last one: a slow system gets no fewer of them.
            await asyncio.sleep(max(0.0, first + len(begun) / PER_SECOND - time.time()))
        while not begun.keys() <= arrived.keys():
            await asyncio.sleep(_LOOK_EVERY)
            arrived |= await self._arrived()
        return [(arrived[key] - at) * 1000 for key, at in begun.items()]

    async def _arrived(self) -> dict[str, float]:
        """When each of the last ones came."""
        found = (await self._sandbox.get("/api/inbox", params={"limit": _LISTED})).raise_for_status().json()
        return {item["key"]: datetime.fromisoformat(item["received_at"]).timestamp() for item in found["items"]}


async def beside_campaign(house: House, bench: Bench, recipients: int) -> dict[str, Any]:
    """The codes alone, a campaign alone, and both at once."""
    async with _codes(house) as codes:
        await codes.send(_WARM_UP)
        print("codes alone", file=sys.stderr)
        idle = await codes.send(IDLE_SECONDS * PER_SECOND)
        print("a campaign alone", file=sys.stderr)
        alone = await bench.tidings(recipients, 0)
        print("codes beside a campaign", file=sys.stderr)
        beside, latencies = await _both(bench, codes, recipients)
    report = {"idle": percentiles(idle), "beside_a_campaign": percentiles(latencies)}
    return report | {
        "p99_to_idle": round(report["beside_a_campaign"]["p99_ms"] / report["idle"]["p99_ms"], 2),
        "campaign_alone": summary([alone]),
        "campaign_beside_codes": summary([beside]),
        "campaign_rate_kept": round(beside.per_second / alone.per_second, 2),
    }


async def _both(bench: Bench, codes: Codes, recipients: int) -> tuple[Row, list[float]]:
    over = asyncio.Event()
    sending = asyncio.create_task(codes.send_until(over))
    try:
        row = await bench.tidings(recipients, 0)
    finally:
        over.set()
    return row, await sending


def percentiles(milliseconds: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=100)
    return {"count": len(milliseconds), "p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}


@asynccontextmanager
async def _codes(house: House) -> AsyncIterator[Codes]:
    async with (
        event_producer(house.stack) as producer,
        httpx.AsyncClient(base_url=house.stack.endpoints.sandbox, timeout=30) as sandbox,
    ):
        yield Codes(producer, sandbox)
