"""How exactly campaigns keep to a rate: `python -m benchmarks.rates [--json FILE]`.

A dev stack of its own with three bulk worker processes sends campaigns of text messages to the sandbox, whose record of
arrivals is what is counted. Wanted over 30 s and more: the mean within 5 % of the rate, and in no second more than the
rate and half a second of it (at least one message). Then a rate is changed under way, up and down: from two seconds
after the answer on the mean of five is within 5 % of the new one. Last, a provider's own rate, shared with single
messages. About four minutes; needs Linux, and two cores with little else to do for 1,000 a second.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop
from pydantic import SecretStr

from benchmarks._processes import read, usage
from benchmarks._stack import SOURCE, TOPIC, benchmark_stack, event_ids, event_producer, processes, recipient_of
from bridge.producer import EventProducer
from devstack.processes import Command
from devstack.state import ROOT
from devstack.supervisor import Stack
from devstack.variables import process_environment
from notifications.database import create_engine, create_sessions, execute, transaction
from notifications.rates import CAMPAIGNS_SHARE

RATES = (10.0, 100.0, 1000.0)
CHANGES = ((10.0, 200.0), (200.0, 10.0))
SHARED_RATE, SINGLES = 40.0, 10.0  # a second, of the provider and of single messages
WORKERS = 3
SETTLED = 1.0  # seconds from the first message: a key that nobody used begins with a quarter of a second of its rate
FELT_WITHIN = 2.0
CHANGE_SECONDS = 5.0

_RECIPIENTS = """
INSERT INTO recipients (id, phone, phone_ref, email, email_ref, locale, timezone, attributes)
SELECT 'rate_' || n, '+49151' || lpad(CAST(n AS text), 8, '0'), sha256(CAST('p' || n AS text)::bytea),
       'person' || n || '@example.org', sha256(CAST('e' || n AS text)::bytea), 'en', 'UTC',
       jsonb_build_object('number', n)
FROM generate_series(1, CAST(:count AS bigint)) n
"""
_CHOICES = """
INSERT INTO preferences (recipient_id, category, channel, opted_in, source, time)
SELECT 'rate_' || n, 'offers', channel, true, 'import', now()
FROM generate_series(1, CAST(:count AS bigint)) n, unnest(ARRAY['sms', 'whatsapp']) channel
"""
_TEXTS: dict[str, dict[str, Any]] = {
    "sms": {"body": "{{ data.discount }} off"},
    "whatsapp": {
        "vendor_templates": {"meta": {"name": "spring_sale", "language": "en_US"}},
        "parameters": ["{{ data.discount }}"],
    },
}
_SHIPPED = {"order_id": "2207", "carrier": "DHL", "tracking_url": "https://acme.example/t/2207"}


def most_in_a_second(arrivals: Sequence[float]) -> int:
    """Of all seconds that begin with an arrival; in order."""
    return max((bisect_left(arrivals, at + 1) - number for number, at in enumerate(arrivals)), default=0)


def between(arrivals: Sequence[float], begin: float, end: float) -> int:
    return bisect_left(arrivals, end) - bisect_left(arrivals, begin)


def report(arrivals: Sequence[float], rate: float, seconds: float) -> dict[str, Any]:
    begin = arrivals[0] + SETTLED
    mean = between(arrivals, begin, begin + seconds) / seconds
    most, allowed = most_in_a_second(arrivals), rate + max(1, rate * 0.5)
    return {
        "seconds": seconds,
        "per_second": round(mean, 2),
        "off_by_percent": round((mean / rate - 1) * 100, 2),
        "most_in_a_second": most,
        "allowed_in_a_second": allowed,
        "kept": abs(mean / rate - 1) <= 0.05 and most <= allowed,
    }


class Field:
    """The stack as a marketer and the sandbox see it."""

    def __init__(self, stack: Stack, api: httpx.AsyncClient, sandbox: httpx.AsyncClient) -> None:
        self.pids = processes(stack)
        self._api = api
        self._sandbox = sandbox

    @asynccontextmanager
    async def campaign(self, per_second: float | None, channel: str = "sms") -> AsyncIterator[str]:
        """From its first message; cancelled at the end, so that it never runs out of recipients."""
        await self._sandbox.delete("/api/inbox")
        body = {
            "name": f"{per_second} a second",
            "category": "offers",
            "channel": channel,
            "content": {
                "default_locale": "en",
                "data": {"type": "object", "required": ["discount"], "properties": {"discount": {"type": "string"}}},
                "templates": {channel: {"en": _TEXTS[channel]}},
            },
            "data": {"discount": "20 %"},
            "audience": {"filter": {"field": "attributes.number", "op": "gte", "value": 1}},
            "rate": {"per_second": per_second} if per_second is not None else None,
        }
        answer = (await self._api.post("/v1/campaigns", json=body)).raise_for_status()
        campaign = answer.json()["campaign"]["id"]
        await self.post(f"/v1/campaigns/{campaign}/launch")
        provider = "twilio" if channel == "sms" else "meta"
        while not await self.arrivals(provider):  # noqa: ASYNC110 - the sandbox tells only when asked
            await asyncio.sleep(0.1)
        yield campaign
        await self.post(f"/v1/campaigns/{campaign}/cancel")
        while await self._in_flight(campaign):  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.1)

    async def post(self, path: str, **body: Any) -> None:
        (await self._api.post(path, json=body)).raise_for_status()

    async def change(self, campaign: str, per_second: float) -> float:
        """When the answer came, in seconds since the epoch."""
        (await self._api.put(f"/v1/campaigns/{campaign}/rate", json={"per_second": per_second})).raise_for_status()
        return time.time()

    async def arrivals(self, provider: str = "twilio") -> list[float]:
        answer = await self._sandbox.get("/api/inbox/arrivals", params={"provider": provider})
        return sorted(answer.raise_for_status().json()["arrivals"])

    async def _in_flight(self, campaign: str) -> int:
        return int((await self._api.get(f"/v1/campaigns/{campaign}")).raise_for_status().json()["account"]["in_flight"])


async def keeps(field: Field, rate: float, seconds: float) -> dict[str, Any]:
    before = read(field.pids)
    async with field.campaign(rate):
        await asyncio.sleep(SETTLED + seconds + 1)
        found = report(await field.arrivals(), rate, seconds)
    return found | {"foreign_cores": round(usage(before, read(field.pids)).foreign_cores, 2)}


async def changes(field: Field, before: float, after: float) -> dict[str, Any]:
    async with field.campaign(before) as campaign:
        await asyncio.sleep(CHANGE_SECONDS)
        answered = await field.change(campaign, after)
        await asyncio.sleep(FELT_WITHIN + CHANGE_SECONDS + 0.5)
        begin = answered + FELT_WITHIN
        mean = between(await field.arrivals(), begin, begin + CHANGE_SECONDS) / CHANGE_SECONDS
    off = mean / after - 1
    return {
        "from": before,
        "to": after,
        "per_second_from_2_s_after_the_answer": round(mean, 2),
        "off_by_percent": round(off * 100, 2),
        "kept": abs(off) <= 0.05 + 1 / (after * CHANGE_SECONDS),  # one message more or less is where the window begins
    }


async def shares(field: Field, producer: EventProducer, seconds: float) -> dict[str, Any]:
    """A campaign without a rate of its own, first alone and then beside single messages, on one provider account."""
    async with field.campaign(None, "whatsapp"):
        await asyncio.sleep(SETTLED + seconds + 1)
        alone = report(await field.arrivals("meta"), SHARED_RATE * CAMPAIGNS_SHARE, seconds)
        begun = time.time()
        ids = event_ids(int((seconds + 2) * SINGLES))
        for number, event_id in enumerate(ids):
            await producer.produce(TOPIC, recipient_of(number), _shipped(event_id, recipient_of(number)))
            await asyncio.sleep(max(0.0, begun + (number + 1) / SINGLES - time.time()))
        both = [at for at in await field.arrivals("meta") if at >= begun]
    return {"provider_per_second": SHARED_RATE, "alone": alone, "with_singles": report(both, SHARED_RATE, seconds)}


def _shipped(event_id: str, recipient: str) -> bytes:
    event = {"specversion": "1.0", "id": event_id, "source": SOURCE, "type": "order.shipped", "recipient": recipient}
    return json.dumps(event | {"data": _SHIPPED}).encode()


@asynccontextmanager
async def running_field(people: int) -> AsyncIterator[tuple[Field, EventProducer]]:
    os.environ["TIDINGS_META__PER_SECOND"] = str(SHARED_RATE)
    async with benchmark_stack() as stack:
        variables = stack.servers.variables()
        engine = create_engine(SecretStr(variables["TIDINGS_DATABASE_URL"]))
        async with transaction(create_sessions(engine)) as session:
            await execute(session, _RECIPIENTS, {"count": people})
            await execute(session, _CHOICES, {"count": people})
        await engine.dispose()
        environment = process_environment(variables, state=ROOT)
        argv = (sys.executable, "-m", "tidings", "worker", "--roles", "bulk")
        for number in range(2, WORKERS + 1):
            await stack.spawner.start(Command(name=f"bulk-{number}", argv=argv, env=environment, cwd=ROOT))
        headers = {"authorization": f"Bearer {variables['TIDINGS_API_TOKEN']}"}
        async with (
            httpx.AsyncClient(base_url=stack.endpoints.api, headers=headers, timeout=60) as api,
            httpx.AsyncClient(base_url=stack.endpoints.sandbox, timeout=60) as sandbox,
            event_producer(stack) as producer,
        ):
            yield Field(stack, api, sandbox), producer


async def run(arguments: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {"cores": os.cpu_count(), "python": platform.python_version(), "workers": WORKERS}
    people = int(max(*arguments.rates, SHARED_RATE * 4) * (arguments.seconds + 15))
    async with running_field(people) as (field, producer):
        for rate in arguments.rates:
            found[f"{rate:g}_a_second"] = await keeps(field, rate, arguments.seconds)
            print(f"{rate:g} a second: {found[f'{rate:g}_a_second']}", file=sys.stderr)
        found["changes"] = [await changes(field, before, after) for before, after in CHANGES]
        found["shared_provider"] = await shares(field, producer, arguments.seconds)
    await asyncio.sleep(0.1)  # the SDK's threads crash an interpreter that exits at once
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, metavar="N", help="messages a second")
    parser.add_argument("--seconds", type=float, default=30.0, help="that each rate is measured for")
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    found = uvloop.run(run(arguments))
    print(json.dumps(found, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
