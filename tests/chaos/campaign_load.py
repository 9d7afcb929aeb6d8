"""Two campaigns to a crowd, one that may send nothing twice and one that may not lose an answer for good."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import psycopg

from devstack.applications import Application
from notifications.campaigns.snapshot import BLOCK, RANGE_SIZE
from notifications.ids import event_uuid
from tests.chaos.world import World

PEOPLE = 3 * RANGE_SIZE  # so that several ranges are under way side by side, and the snapshot takes two blocks
assert BLOCK < PEOPLE <= 2 * BLOCK
_REACHED = 24  # each so-many-th of them has an address
REACHED = PEOPLE // _REACHED
_SENDING = 30  # messages of each campaign, from which on it is under way
_POLL_SECONDS = 0.1

_CROWD = f"""
WITH people AS (
    INSERT INTO recipients (id, email, phone, locale, attributes)
    SELECT 'crowd-' || lpad(n::text, 5, '0'), CASE WHEN n %% {_REACHED} = 0 THEN 'crowd-' || n || '@example.org' END,
           CASE WHEN n %% {_REACHED} = 0 THEN '+120255' || lpad(n::text, 5, '0') END, 'en', '{{"crowd": "chaos"}}'
    FROM generate_series(1, {PEOPLE}) n
    ON CONFLICT DO NOTHING RETURNING id
), choices AS (
    INSERT INTO preferences (recipient_id, category, channel, opted_in, source, time)
    SELECT id, 'offers', 'email', true, 'chaos', now() FROM people
)
SELECT count(*) FROM people
"""
_CALLED = """
SELECT count(*) FILTER (WHERE called >= %s) AS count FROM (
    SELECT count(*) AS called FROM attempts WHERE origin_id = ANY (%s) GROUP BY origin_id) each
"""
# Some seconds for the snapshot of a small crowd, as a large one or a slow disk would take them.
_SLOW = """
CREATE FUNCTION chaos_slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.0005); RETURN NEW; END';
CREATE TRIGGER chaos_slow BEFORE INSERT ON messages FOR EACH ROW
    WHEN (NEW.origin_kind = 'campaign') EXECUTE FUNCTION chaos_slow()
"""
_AS_BEFORE = "DROP FUNCTION chaos_slow CASCADE"


@dataclass(kw_only=True)
class Marketer:
    """Who launches and steers the campaigns of one run; repeats a request until it is answered, as clients do.

    `quiet`: from a pause's or cancel's answer until the request to go on (None: for good). `down`: when the processes
    that were struck did nothing any more; None: the fault lasts.
    """

    world: World
    twin: Application  # of the bulk worker
    run: str
    per_second: float  # of each campaign
    campaigns: dict[str, UUID] = field(default_factory=dict)
    quiet: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    down: datetime | None = None

    @property
    def ids(self) -> list[UUID]:
        return list(self.campaigns.values())

    @property
    def bulk(self) -> list[Application]:
        """Every process that works for campaigns."""
        return [self.world.stack.applications["bulk"], self.twin]

    async def launch(self) -> None:
        await self.world.rows(_CROWD)
        await asyncio.gather(*map(self._launch, _BODIES))

    async def launch_by_event(self) -> None:
        """A launch is on its way once Kafka has it."""
        await self.world.rows(_CROWD)
        await asyncio.gather(*map(self._produce, _BODIES))

    async def _launch(self, name: str) -> None:
        answer = await self._ask("", f"create {name}", self._body(name))
        self.campaigns[name] = UUID(answer["campaign"]["id"])
        await self._ask(f"/{self.campaigns[name]}/launch", f"launch {name}")

    async def _produce(self, name: str) -> None:
        source = f"chaos/{self.run}"
        event = {
            "specversion": "1.0",
            "id": name,
            "source": source,
            "type": "tidings.campaign.launch",
            "time": datetime.now(UTC).isoformat(),
            "data": self._body(name),
        }
        headers = [("content-type", b"application/cloudevents+json")]
        await self.world.producer.produce("campaigns", name, json.dumps(event).encode(), headers)
        self.campaigns[name] = event_uuid(source, name)

    def _body(self, name: str) -> dict[str, Any]:
        return _BODIES[name] | {
            "name": f"{self.run} {name}",
            "audience": {"filter": {"field": "attributes.crowd", "op": "eq", "value": "chaos"}},
            "rate": {"per_second": self.per_second},
        }

    async def steer(self, command: str) -> None:
        """Pause, resume or cancel both."""
        if command == "resume":
            began, _ = self.quiet.pop()
            self.quiet.append((began, datetime.now(UTC)))
        await asyncio.gather(*(self._ask(f"/{each}/{command}", f"{command} {each}") for each in self.ids))
        if command != "resume":
            self.quiet.append((datetime.now(UTC), None))

    async def _ask(self, path: str, key: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"idempotency-key": f"{self.run} {key}"}
        while True:
            try:
                answer = await self.world.api.post(f"/v1/campaigns{path}", json=body, headers=headers)
            except httpx.HTTPError:
                answer = None
            if answer is not None and not answer.is_server_error:
                document: dict[str, Any] = answer.raise_for_status().json()
                return document
            await asyncio.sleep(_POLL_SECONDS)

    async def rows(self, statement: str) -> list[dict[str, Any]]:
        """`statement` with the campaigns as its one parameter, answered once Postgres is there."""
        while True:
            try:
                return await self.world.rows(statement, self.ids)
            except psycopg.OperationalError:
                await asyncio.sleep(_POLL_SECONDS)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        while not await condition():
            await asyncio.sleep(_POLL_SECONDS)

    async def is_preparing(self) -> bool:
        """Some blocks are written, and some are not."""
        rows = await self.rows(
            "SELECT count(*) AS count FROM campaigns WHERE id = ANY (%s)"
            " AND state = 'preparing' AND prepared_to IS NOT NULL AND prepared_at IS NULL"
        )
        return bool(rows[0]["count"])

    async def is_sending(self) -> bool:
        rows = await self.world.rows(_CALLED, _SENDING, self.ids)
        return bool(rows[0]["count"] == len(_BODIES))


def _content(channel: str, **parts: str) -> dict[str, Any]:
    return {"default_locale": "en", "data": {"type": "object"}, "templates": {channel: {"en": parts}}}


# The category decides the type, and the type what happens after a lost answer: offers are sent at most once.
_BODIES: dict[str, dict[str, Any]] = {
    "offers": {
        "category": "offers",
        "channel": "email",
        "content": _content("email", subject="Spring sale", html="<p>20 % off</p>", text="20 % off"),
    },
    "payments": {
        "category": "payments",
        "channel": "sms",
        "content": _content("sms", body="Our account number has changed"),
    },
}


@asynccontextmanager
async def slow_snapshot(world: World) -> AsyncIterator[None]:
    await world.execute(_SLOW)
    try:
        yield
    finally:
        await world.execute(_AS_BEFORE)
