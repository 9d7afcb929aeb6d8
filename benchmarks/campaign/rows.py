"""One stretch of a contender: how long it took, what it cost, and what came to the receiving server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any
from uuid import UUID

from benchmarks._processes import Usage, per_thousand, read, usage
from benchmarks.campaign.economy import Economy, economy_of
from benchmarks.campaign.house import LOOPS, House
from benchmarks.isolation.watch import memory
from notifications.database import execute
from notifications.ids import message_id

LOOK_EVERY = 0.05  # seconds
MEMORY_EVERY = 2.0  # seconds; reading it costs the process milliseconds
_NOT_OURS = {"benchmark", "receiver"}

_PREPARED = """
SELECT extract(epoch FROM c.prepared_at - l.at)::float8 FROM campaigns c
JOIN campaign_commands l ON l.campaign_id = c.id AND l.command = 'prepare' WHERE c.id = :id
"""


@dataclass(frozen=True)
class Row:
    """`seconds` from the request to launch (the first line to a loop) until the last mail has come.

    `sending` is the part of it after the first mail, `preparing` what the snapshot took. `most_memory` in MB by worker;
    `economy` is what Temporal had to do for it.
    """

    recipients: int
    seconds: float
    sending: float
    used: Usage
    lost: int
    duplicates: int
    strangers: int
    preparing: float | None = None
    most_memory: Mapping[str, float] = field(default_factory=dict)
    economy: Economy | None = None

    @property
    def per_second(self) -> float:
        return self.recipients / self.seconds


class Bench:
    """The contenders on one house; `delay_ms` is how long the receiver takes for an answer."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def bare(self, recipients: int, delay_ms: float, *, by: str = "aiohttp") -> Row:
        async with self._stretch(recipients, delay_ms) as stretch:
            stretch.origin = await self._house.send_bare(recipients, by=by)
        return stretch.row(LOOPS)

    async def tidings(self, recipients: int, delay_ms: float) -> Row:
        """From the launch until the campaign is completed, with its account."""
        house = self._house
        async with self._stretch(recipients, delay_ms) as stretch, _watched_memory(house.workers) as most:
            campaign = stretch.origin = await house.launch(recipients)
            while not await self._is_over(campaign):  # noqa: ASYNC110 - the row tells only when asked
                await asyncio.sleep(LOOK_EVERY)
        account = (await house.api.get(f"/v1/campaigns/{campaign}")).raise_for_status().json()["account"]
        assert account["by_status"] == {"sent": recipients}, account
        ours = [name for name in house.pids if name not in LOOPS]
        row = stretch.row(ours, await self._scalar(_PREPARED, campaign), most)
        return replace(row, economy=economy_of(await house.histories(campaign)))

    async def _is_over(self, campaign: UUID) -> bool:
        state = await self._scalar("SELECT state FROM campaigns WHERE id = :id", campaign)
        assert state in {"scheduled", "preparing", "running", "completed"}, state
        return bool(state == "completed")

    async def _scalar(self, statement: str, campaign: UUID) -> Any:
        async with self._house.sessions() as session:
            return (await execute(session, statement, {"id": campaign})).scalar_one()

    @asynccontextmanager
    async def _stretch(self, recipients: int, delay_ms: float) -> AsyncIterator["Stretch"]:
        house = self._house
        await house.receiver.begin(delay_ms)
        before, begun = read(house.pids), time.monotonic()
        stretch = Stretch(recipients)
        yield stretch
        stretch.used = usage(before, read(house.pids))
        counts, keys = await house.receiver.counts(), await house.receiver.keys()
        assert stretch.origin is not None
        expected = {message_id(stretch.origin, number) for number in range(1, recipients + 1)}
        stretch.seconds, stretch.sending = counts.last_at - begun, counts.seconds
        stretch.lost, stretch.strangers = len(expected - keys), len(keys - expected)
        stretch.duplicates = counts.calls - counts.keys


@dataclass
class Stretch:
    """A row in the making."""

    recipients: int
    origin: UUID | None = None
    used: Usage | None = None
    seconds: float = 0.0
    sending: float = 0.0
    lost: int = 0
    strangers: int = 0
    duplicates: int = 0

    def row(
        self,
        contenders: Sequence[str],
        preparing: float | None = None,
        most_memory: Mapping[str, float] | None = None,
    ) -> Row:
        """Only the CPU of the contender's own processes counts as used by it."""
        assert self.used is not None
        ours = {name: self.used.by_process[name] for name in contenders if name not in _NOT_OURS}
        return Row(
            self.recipients,
            self.seconds,
            self.sending,
            Usage(self.used.seconds, ours, self.used.busy_cores, self.used.foreign_cores),
            self.lost,
            self.duplicates,
            self.strangers,
            preparing,
            most_memory or {},
        )


@asynccontextmanager
async def _watched_memory(workers: Mapping[str, int]) -> AsyncIterator[dict[str, float]]:
    """The most that each worker had, in MB of proportional set size."""
    most: dict[str, float] = {}

    async def watch() -> None:
        while True:
            await asyncio.sleep(MEMORY_EVERY)
            now = await asyncio.to_thread(memory, workers)
            most.update({name: max(mb, most.get(name, 0.0)) for name, mb in now.items()})

    watching = asyncio.create_task(watch())
    try:
        yield most
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        most.update({name: max(mb, most.get(name, 0.0)) for name, mb in memory(workers).items()})


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """The medians of stretches of one contender; what was lost or doubled in any of them."""
    rates = [row.per_second for row in rows]
    recipients = sum(row.recipients for row in rows)
    cpu = per_thousand([row.used for row in rows], recipients)
    report: dict[str, Any] = {
        "recipients": rows[0].recipients,
        "per_second": round(median(rates)),
        "per_second_range": [round(min(rates)), round(max(rates))],
        "per_second_after_the_first_mail": round(median(row.recipients / row.sending for row in rows)),
        "cpu_seconds_per_1000": {"all": round(sum(row_cpu(row) for row in rows) / recipients * 1000, 3)} | cpu,
        "lost": [row.lost for row in rows],
        "duplicates": [row.duplicates for row in rows],
        "strangers": [row.strangers for row in rows],
        "foreign_cores": [round(row.used.foreign_cores, 2) for row in rows],
    }
    preparing = [row.preparing for row in rows if row.preparing]
    if preparing:
        report["snapshot_rows_per_second"] = round(rows[0].recipients / median(preparing))
    economies = [row.economy for row in rows if row.economy]
    if economies:
        report |= {
            "history_events_per_recipient": round(max(each.events for each in economies) / rows[0].recipients, 5),
            "billable_actions_per_recipient": round(max(each.actions for each in economies) / rows[0].recipients, 5),
            "longest_history_events": max(each.longest for each in economies),
        }
    if rows[0].most_memory:
        report["most_pss_mb"] = {name: max(row.most_memory[name] for row in rows) for name in rows[0].most_memory}
    return report


def row_cpu(row: Row) -> float:
    return sum(row.used.by_process.values())
