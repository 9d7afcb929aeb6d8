"""Each scenario brings one part into trouble and looks at the others, beside stretches without it in the same run."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks._processes import read, usage
from benchmarks.isolation.bench import Bench
from benchmarks.isolation.load import CART, OTP, PAYMENT, RECEIPT, SHIPPED, Kind, latency

_LOOK_EVERY = 0.5  # seconds
LATENCY_BOUND = 1.5  # times the latency without trouble
PACED_STARTS = 25.0  # activity starts a second of all that wait for a paused provider
NORMAL_MS, SLOW_MS = 800, 8_000  # of the e-mail provider: 25 and 2.5 messages a second over 20 connections
E_MAILS_A_PROBE = 3  # so that they come in faster than the slow provider takes them
SLOW_POSTGRES = 0.01  # seconds, for each answer


@dataclass(frozen=True)
class Check:
    what: str
    value: float
    bound: float

    @property
    def holds(self) -> bool:
        return self.value <= self.bound


@dataclass
class Finding:
    figures: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)

    def compare(self, probe: str, calm: list[float], troubled: list[float]) -> None:
        """Two sets of latencies, as the ratio of their medians."""
        without, within = latency(calm), latency(troubled)
        ratio = round(within.p50 / without.p50, 2)
        self.figures[probe] = {
            "calm": asdict(without),
            "troubled": asdict(within),
            "ratio_p95": round(within.p95 / without.p95, 2),
        }
        self.checks.append(Check(f"{probe}: latency, times that without trouble", ratio, LATENCY_BOUND))


@dataclass(frozen=True)
class Size:
    """`pace` is how many events a second the probes send, a small part of what the machine can do."""

    scale: float
    pace: float

    @property
    def seconds(self) -> float:
        """The length of one stretch."""
        return 20.0 if self.scale >= 1 else 10.0

    def of(self, count: int) -> int:
        return max(10, math.ceil(count * self.scale))


@dataclass(frozen=True)
class Stretch:
    """`sources` of the probes' events by channel; `foreign_cores` is what everything else kept busy of the machine."""

    sources: dict[str, str]
    foreign_cores: float


Scenario = Callable[[Bench, Size], Awaitable[Finding]]


async def slow_provider(bench: Bench, size: Size) -> Finding:
    """E-mail at a tenth of its speed, and slower than what comes in: push, text messages and WhatsApp beside it."""
    calm: list[Stretch] = []
    troubled: list[Stretch] = []
    waiting = []
    for _ in range(2):
        await bench.slow_down("smtp", NORMAL_MS)
        calm.append(await _probes(bench, size, push=True))
        await bench.slow_down("smtp", SLOW_MS)
        troubled.append(await _probes(bench, size, push=True))
        waiting.append(await bench.load.waiting(troubled[-1].sources["push"]))
        await bench.slow_down("smtp", 0)
        await _drained(bench, troubled[-1].sources["push"], None)
    finding = Finding({"e_mails_waiting_at_the_end_of_a_slow_stretch": waiting})
    await _compare(bench, finding, calm, troubled)
    return finding


async def slow_postgres(bench: Bench, size: Size) -> Finding:
    """Postgres takes longer for each answer, while a flood of offers comes in: is anything urgent behind the flood?"""
    fast = [await _probes(bench, size)]
    calm: list[Stretch] = []
    troubled: list[Stretch] = []
    for _ in range(2):
        bench.line.delay = SLOW_POSTGRES
        calm.append(await _probes(bench, size))
        count = size.of(2_000)
        flood = await bench.load.all_at_once(CART, count)
        troubled.append(await _probes(bench, size))
        bench.line.delay = 0.0
        await _drained(bench, flood, count)
    finding = Finding()
    await _compare(bench, finding, calm, troubled)
    for channel in fast[0].sources:
        alone = await _latencies(bench, fast, channel)
        finding.figures[f"{channel} with a fast Postgres"] = asdict(latency(alone))
    return finding


async def burst(bench: Bench, size: Size) -> Finding:
    """Thousands of events in one second: all of them arrive, and Temporal sees no time-out."""
    count = size.of(10_000)
    before, begun = await bench.timeouts(), time.monotonic()
    source = await bench.load.all_at_once(SHIPPED, count)
    produced = time.monotonic() - begun
    await _drained(bench, source, count)
    seconds = time.monotonic() - begun
    timeouts = await bench.timeouts() - before
    figures: dict[str, Any] = {"events": count, "produced_in_s": round(produced, 1), "drained_in_s": round(seconds, 1)}
    return Finding(
        figures | {"per_second": round(count / seconds, 1), "timeouts": dict(timeouts)},
        [
            Check("time-outs in Temporal", timeouts.total(), 0),
            Check("unfinished", await bench.load.unfinished(source, count), 0),
        ],
    )


async def queued_offers(bench: Bench, size: Size) -> Finding:
    """Thousands of offers wait: one-time codes pass them."""
    count = size.of(5_000)
    calm = [await _probes(bench, size)]
    offers = await bench.load.all_at_once(CART, count)
    troubled = [await _probes(bench, size)]
    left = await bench.load.unfinished(offers, count)
    await _drained(bench, offers, count)
    calm.append(await _probes(bench, size))
    finding = Finding({"offers": count, "offers_left_at_the_end_of_the_stretch": left})
    await _compare(bench, finding, calm, troubled)
    return finding


async def paused_provider(bench: Bench, size: Size) -> Finding:
    """Thousands of messages wait for a paused provider: they look again at a bounded pace, and delay nothing."""
    count = size.of(5_000)
    calm = [await _probes(bench, size)]
    await bench.pause("smtp")
    mails = await bench.load.all_at_once(RECEIPT, count)
    await _until(lambda: _all_wait(bench, mails, count))
    before, begun = await bench.activity_starts("channels"), time.monotonic()
    troubled = [await _probes(bench, size), await _probes(bench, size)]
    probes = sum([len(await _latencies(bench, troubled, channel)) for channel in troubled[0].sources])
    starts = (await bench.activity_starts("channels") - before - probes) / (time.monotonic() - begun)
    await bench.resume("smtp")
    accepted, begun = await bench.load.accepted(mails), time.monotonic()
    await asyncio.sleep(size.seconds)
    released = (await bench.load.accepted(mails) - accepted) / (time.monotonic() - begun)
    await _drained(bench, mails, count)
    calm.append(await _probes(bench, size))
    finding = Finding({"waiting": count, "released_per_second_after_resume": round(released, 1)})
    finding.checks.append(Check("activity starts a second of those that wait", round(starts, 1), PACED_STARTS))
    await _compare(bench, finding, calm, troubled)
    return finding


async def measured_pace(bench: Bench) -> float:
    """A tenth of what the machine can do today, found with a burst that warms everything up as well."""
    count, begun = 200, time.monotonic()
    await _drained(bench, await bench.load.all_at_once(SHIPPED, count), count)
    for kind in (OTP, PAYMENT, CART):
        await _drained(bench, await bench.load.all_at_once(kind, 10), 10)
    return max(1.0, round(0.1 * count / (time.monotonic() - begun), 1))


async def _probes(bench: Bench, size: Size, *, push: bool = False) -> Stretch:
    """One stretch of probes, on channels of their own; waits until those that no trouble is meant for have arrived."""
    kinds: dict[str, Kind] = {"sms": OTP, "whatsapp": SHIPPED} | ({"push": PAYMENT} if push else {})
    paces = {channel: size.pace * (E_MAILS_A_PROBE if channel == "push" else 1) for channel in kinds}
    before = read(bench.pids)
    sources = await asyncio.gather(
        *(bench.load.steadily(kind, paces[channel], size.seconds) for channel, kind in kinds.items())
    )
    stretch = Stretch(dict(zip(kinds, sources, strict=True)), round(usage(before, read(bench.pids)).foreign_cores, 2))

    async def have_arrived() -> bool:
        found = [len(await _latencies(bench, [stretch], channel)) for channel in kinds]
        return all(count >= int(size.seconds * pace) for count, pace in zip(found, paces.values(), strict=True))

    await _until(have_arrived)
    return stretch


async def _compare(bench: Bench, finding: Finding, calm: list[Stretch], troubled: list[Stretch]) -> None:
    finding.figures["foreign_cores"] = {
        "calm": [stretch.foreign_cores for stretch in calm],
        "troubled": [stretch.foreign_cores for stretch in troubled],
    }
    for channel in calm[0].sources:
        finding.compare(channel, await _latencies(bench, calm, channel), await _latencies(bench, troubled, channel))


async def _latencies(bench: Bench, stretches: list[Stretch], channel: str) -> list[float]:
    return await bench.load.latencies(*(stretch.sources[channel] for stretch in stretches), channel=channel)


async def _all_wait(bench: Bench, source: str, count: int) -> bool:
    return await bench.load.held(source) == count


async def _drained(bench: Bench, source: str, count: int | None) -> None:
    """Until every notification has ended; without a count, until no message waits any more."""

    async def drained() -> bool:
        if count is None:
            return await bench.load.waiting(source) == 0
        return await bench.load.unfinished(source, count) == 0

    await _until(drained)


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await condition():
            return
        await asyncio.sleep(_LOOK_EVERY)


SCENARIOS: dict[str, Scenario] = {
    "slow-provider": slow_provider,
    "slow-postgres": slow_postgres,
    "burst": burst,
    "queued-offers": queued_offers,
    "paused-provider": paused_provider,
}
