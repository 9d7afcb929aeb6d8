"""What the benchmark sends, and what Postgres says became of it."""

import asyncio
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from bridge.producer import EventProducer
from notifications.database import Sessions, execute, transaction
from notifications.events.topics import topic_for
from notifications.statuses import NotificationType

RECIPIENTS = 2_000
_AT_ONCE = 1_000  # records handed to the producer before their reports are awaited
_HEADERS = (("content-type", b"application/cloudevents+json"),)


@dataclass(frozen=True)
class Kind:
    """`people` begins the ids of its recipients: `bench` has every kind of address, `mail` an e-mail address only."""

    type: NotificationType
    event: str
    data: Mapping[str, Any]
    people: str = "bench"


OTP = Kind(NotificationType.TRANSACTIONAL, "auth.otp", {"code": "482915"})  # a text message
PAYMENT = Kind(  # push and e-mail
    NotificationType.TRANSACTIONAL, "payment.succeeded", {"payment_id": "p", "amount": "49.90", "currency": "EUR"}
)
RECEIPT = replace(PAYMENT, people="mail")  # e-mail only
SHIPPED = Kind(  # WhatsApp
    NotificationType.TRANSACTIONAL,
    "order.shipped",
    {"order_id": "o", "carrier": "DHL", "tracking_url": "https://acme.example/t/1"},
)
CART = Kind(  # an e-mail of the bulk queues
    NotificationType.PROMOTIONAL,
    "cart.abandoned",
    {
        "items": [{"name": "Kettle", "price": "39.90"}],
        "total": "39.90",
        "currency": "EUR",
        "cart_url": "https://acme.example/cart",
    },
)


@dataclass(frozen=True)
class Latency:
    """Milliseconds from producing an event to the provider's acceptance."""

    count: int
    p50: float
    p95: float


def latency(milliseconds: Sequence[float]) -> Latency:
    cuts = statistics.quantiles(milliseconds, n=100)
    return Latency(len(milliseconds), round(cuts[49], 1), round(cuts[94], 1))


class Load:
    """Events of one benchmark; every stretch of it has a source of its own, by which it is found again."""

    def __init__(self, producer: EventProducer, sessions: Sessions) -> None:
        self._producer = producer
        self._sessions = sessions
        self._produced = 0

    async def all_at_once(self, kind: Kind, count: int) -> str:
        """Produce them as fast as the broker takes them; returns their source."""
        source = _source(kind)
        for begin in range(0, count, _AT_ONCE):
            await asyncio.gather(*(self._produce(kind, source) for _ in range(min(_AT_ONCE, count - begin))))
        return source

    async def steadily(self, kind: Kind, per_second: float, seconds: float) -> str:
        """Produce one after the other, on time whatever became of the last one; returns their source."""
        source, begun, number = _source(kind), time.monotonic(), 0
        while (due := number / per_second) < seconds:
            await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
            await self._produce(kind, source)
            number += 1
        return source

    async def _produce(self, kind: Kind, source: str) -> None:
        self._produced += 1
        recipient = f"{kind.people}_{self._produced % RECIPIENTS}"
        event = {
            "specversion": "1.0",
            "id": uuid4().hex,
            "source": source,
            "type": kind.event,
            "time": datetime.now(UTC).isoformat(),
            "recipient": recipient,
            "data": kind.data,
        }
        await self._producer.produce(topic_for(kind.type), recipient, json.dumps(event).encode(), _HEADERS)

    async def waiting(self, source: str) -> int:
        """How many messages there are that no provider has taken and that have not ended."""
        return await self._count("status IN ('pending', 'sending')", source)

    async def held(self, source: str) -> int:
        """How many messages wait for a paused provider."""
        return await self._count("status = 'pending' AND reason = 'provider_paused'", source)

    async def accepted(self, source: str) -> int:
        return await self._count("status IN ('sent', 'delivered')", source)

    async def unfinished(self, source: str, count: int) -> int:
        """Of `count` events, those whose notification has not ended."""
        statement = "SELECT count(*) FROM notifications WHERE source = :source AND finished_at IS NOT NULL"
        async with self._sessions() as session:
            return count - int((await execute(session, statement, {"source": source})).scalar_one())

    async def latencies(self, *sources: str, channel: str) -> list[float]:
        statement = """
            SELECT 1000 * extract(epoch FROM a.finished_at - n.event_time)::float8
            FROM notifications n JOIN attempts a ON a.origin_id = n.id JOIN messages m USING (origin_id, seq)
            WHERE n.source = ANY (CAST(:sources AS text[])) AND m.channel = :channel AND a.outcome = 'accepted'
        """
        async with self._sessions() as session:
            return list((await execute(session, statement, {"sources": list(sources), "channel": channel})).scalars())

    async def _count(self, condition: str, source: str) -> int:
        statement = f"""
            SELECT count(*) FROM messages WHERE {condition}
            AND origin_id IN (SELECT id FROM notifications WHERE source = :source)
        """
        async with self._sessions() as session:
            return int((await execute(session, statement, {"source": source})).scalar_one())


async def load_recipients(sessions: Sessions) -> None:
    """People who agreed to offers, with every kind of address, and people with an e-mail address only."""
    async with transaction(sessions) as session:
        for statement in (
            """INSERT INTO recipients (id, name, email, phone, locale, timezone, attributes)
               SELECT 'bench_' || n, 'Ana', 'bench' || n || '@example.org', '+49151' || (10000000 + n), 'en',
                      'Europe/Berlin', '{}' FROM generate_series(0, :last) AS n""",
            """INSERT INTO recipients (id, name, email, locale, attributes)
               SELECT 'mail_' || n, 'Ben', 'mail' || n || '@example.org', 'en', '{}'
               FROM generate_series(0, :last) AS n""",
            """INSERT INTO devices (recipient_id, id, token, platform)
               SELECT 'bench_' || n, 'phone', 'bench-' || n || '-phone:APA91b', 'android'
               FROM generate_series(0, :last) AS n""",
            """INSERT INTO preferences (recipient_id, category, channel, opted_in, source, time)
               SELECT 'bench_' || n, 'offers', 'email', true, 'import', now() FROM generate_series(0, :last) AS n""",
        ):
            await execute(session, statement, {"last": RECIPIENTS - 1})


def _source(kind: Kind) -> str:
    return f"https://acme.example/{kind.event}/{uuid4().hex[:8]}"
