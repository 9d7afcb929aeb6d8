"""A steady stream of events, and the memory of which were accepted."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import httpx

from bridge.producer import ProduceError
from notifications.ids import event_uuid
from tests.chaos.world import RECIPIENTS, World

PER_SECOND = 3.0  # Temporal's development server does a few tens of workflows a second: no backlog shall build up
_HEADERS = [("content-type", b"application/cloudevents+json")]
_TOPICS = {"cart.abandoned": "promotional.notifications"}
_SHOP = "https://shop.example"


class Load:
    """Events of one run, told from all others by their source."""

    def __init__(self, world: World, run: str, random: Random) -> None:
        self.source = f"chaos/{run}"
        self.accepted: dict[UUID, datetime] = {}  # by Kafka's or the API's word, and when
        self._world = world
        self._random = random
        self._count = 0
        self._grown = asyncio.Condition()

    async def grow_by(self, events: int) -> None:
        """Wait until that many more are accepted."""
        target = len(self.accepted) + events
        async with self._grown:
            await self._grown.wait_for(lambda: len(self.accepted) >= target)

    def accepted_before(self, moment: datetime) -> set[UUID]:
        return {event for event, accepted in self.accepted.items() if accepted < moment}

    async def flow(self) -> None:
        """Send until cancelled, then wait for the answers that are still to come."""
        async with asyncio.TaskGroup() as sending:
            with contextlib.suppress(asyncio.CancelledError):
                while True:
                    sending.create_task(self._send(self._event(), through_api=self._random.random() < 0.1))
                    await asyncio.sleep(self._random.expovariate(PER_SECOND))

    def _event(self) -> dict[str, Any]:
        self._count += 1
        kinds = {"payment.succeeded": 5, "cart.abandoned": 4, "auth.otp": 1}
        kind = self._random.choices(list(kinds), list(kinds.values()))[0]
        data = {
            "payment.succeeded": {"payment_id": f"pay_{self._count}", "amount": "49.90", "currency": "EUR"},
            "cart.abandoned": {
                "items": [{"name": "Socks", "price": "9.90"}],
                "total": "9.90",
                "currency": "EUR",
                "cart_url": f"{_SHOP}/basket/{self._count}",
            },
            "auth.otp": {"code": f"{self._count:06}", "valid_minutes": 5},
        }[kind]
        return {
            "specversion": "1.0",
            "id": str(self._count),
            "source": self.source,
            "type": kind,
            "time": datetime.now(UTC).isoformat(),
            "recipient": self._random.choice(RECIPIENTS),
            "data": data,
        }

    async def _send(self, event: dict[str, Any], *, through_api: bool) -> None:
        if await (self._post(event) if through_api else self._produce(event)):
            async with self._grown:
                self.accepted[event_uuid(event["source"], event["id"])] = datetime.now(UTC)
                self._grown.notify_all()

    async def _produce(self, event: dict[str, Any]) -> bool:
        topic = _TOPICS.get(event["type"], "transactional.notifications")
        try:
            await self._world.producer.produce(topic, event["recipient"], json.dumps(event).encode(), _HEADERS)
        except ProduceError:
            return False
        return True

    async def _post(self, event: dict[str, Any]) -> bool:
        kind = {"content-type": "application/cloudevents+json"}
        with contextlib.suppress(httpx.HTTPError):
            answer = await self._world.api.post("/v1/events", content=json.dumps(event), headers=kind)
            return answer.is_success
        return False


@asynccontextmanager
async def flowing(world: World, run: str, random: Random) -> AsyncIterator[Load]:
    """A load that flows during the block."""
    load = Load(world, run, random)
    task = asyncio.create_task(load.flow())
    try:
        yield load
    finally:
        task.cancel()
        await task
