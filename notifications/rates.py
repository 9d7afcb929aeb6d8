"""How fast messages go out: one rate per campaign and one per provider account, shared by every process.

The generic cell rate algorithm (ITU-T I.371): a key has a time at which its next message is due; each message moves
it on by `1 / rate`. In any one second a key lets at most `rate + max(1, rate * 0.25 s)` messages through, and a grant
that is used within `USE_WITHIN_SECONDS` adds no more than as much again: together `rate + max(1, rate * 0.5 s)`. Where
a machine is too slow for that, more may come together in one second (`latest_use`); the mean is kept all the same.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from notifications.database import Sessions, execute_alone
from notifications.queries import rates as sql

USE_WITHIN_SECONDS = 0.25  # of asking for a grant; what was not used by then is given back
CAMPAIGNS_SHARE = 0.8  # of a provider's rate: the rest stays for single messages

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Rate:
    """`key` is `campaign:<id>`, `provider:<name>` or `campaigns:<provider>`; `per_second` is above 0."""

    key: str
    per_second: float


@dataclass(frozen=True, slots=True)
class Grant:
    """`count` messages may go out now; 0: ask again after `wait` seconds."""

    count: int
    wait: float


class Rates:
    """One per process. `now` is the time for grants; None: that of Postgres, so that processes agree on it."""

    def __init__(self, sessions: Sessions, *, now: Callable[[], datetime] | None = None) -> None:
        self._sessions = sessions
        self._now = now
        self._known: set[str] = set()
        self._turns: dict[tuple[str, ...], tuple[asyncio.Lock, int]] = {}
        self._use_within = USE_WITHIN_SECONDS

    @asynccontextmanager
    async def turn(self, rates: Sequence[Rate]) -> AsyncIterator[None]:
        """One of this process at a time asks and waits for these rates: many would all ask for the same messages."""
        keys = tuple(rate.key for rate in rates)
        if not keys:
            yield
            return
        lock, users = self._turns.get(keys, (asyncio.Lock(), 0))
        self._turns[keys] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            lock, users = self._turns.pop(keys)
            if users > 1:
                self._turns[keys] = (lock, users - 1)

    async def take(self, rates: Sequence[Rate], wanted: int) -> Grant:
        """Take up to `wanted` messages from all of these together, or from none. Without a rate all are granted."""
        if not rates:
            return Grant(wanted, 0.0)
        await self._ensure(rates)
        now = self._now() if self._now is not None else None
        parameters = _costs(rates) | {"wanted": wanted, "now": now}
        rows = await execute_alone(self._sessions, sql.TAKE, parameters)
        if not rows:  # removed since, with its campaign
            self._known.difference_update(rate.key for rate in rates)
            return Grant(0, 0.0)
        count, wait = rows[0]
        return Grant(count, 0.0 if count else wait)

    def latest_use(self, asked: float, *, longest: float) -> float:
        """Until when a grant may be used that was asked for at `asked`; asked once, now that it could be.

        `asked` and the result are instants of `time.monotonic()`, `longest` are seconds. A machine that is always slow
        still sends: only a grant that took more than twice as long as the last one is not used.
        """
        within = self._use_within
        self._use_within = min(max(USE_WITHIN_SECONDS, 2 * (time.monotonic() - asked)), longest)
        return asked + within

    async def give_back(self, rates: Sequence[Rate], count: int) -> None:
        """What was taken and not needed."""
        await self._debit(rates, -count)

    async def debit(self, rates: Sequence[Rate], count: int) -> None:
        """Messages that go out whatever the rate says; others wait for them."""
        await self._ensure(rates)
        await self._debit(rates, count)

    async def _debit(self, rates: Sequence[Rate], count: int) -> None:
        if rates and count:
            await execute_alone(self._sessions, sql.DEBIT, _costs(rates, count))

    async def _ensure(self, rates: Sequence[Rate]) -> None:
        new = [rate.key for rate in rates if rate.key not in self._known]
        if new:
            await execute_alone(self._sessions, sql.ENSURE, {"keys": new})
            self._known.update(new)


def _costs(rates: Sequence[Rate], times: int = 1) -> dict[str, list[str] | list[float]]:
    return {"keys": [rate.key for rate in rates], "seconds": [times / rate.per_second for rate in rates]}


class ProviderRates:
    """What each provider account takes a second, by name; campaigns and single messages share it. One per process.

    A campaign asks before it claims, and gets no more than its share. A single message never waits: it is counted, and
    campaigns wait for it.
    """

    def __init__(self, rates: Rates, per_second: Mapping[str, float]) -> None:
        self._rates = rates
        self._per_second = per_second
        self._uncounted: Counter[str] = Counter()
        self._counting: asyncio.Task[None] | None = None

    def of_campaign(self, campaign_id: UUID, per_second: float | None, provider: str) -> list[Rate]:
        """The rates that a campaign's messages take from; `per_second` is the campaign's own."""
        found = [] if per_second is None else [Rate(f"campaign:{campaign_id}", per_second)]
        limit = self._per_second.get(provider)
        if limit is not None:
            found += [Rate(f"provider:{provider}", limit), Rate(f"campaigns:{provider}", limit * CAMPAIGNS_SHARE)]
        return found

    def count_single(self, provider: str) -> None:
        """A single message is about to go out; those of the same moment are counted together."""
        if provider in self._per_second:
            self._uncounted[provider] += 1
            if self._counting is None or self._counting.done():
                self._counting = asyncio.create_task(self._count())

    async def close(self) -> None:
        if self._counting is not None:
            await self._counting

    async def _count(self) -> None:
        while self._uncounted:
            counted, self._uncounted = self._uncounted, Counter()
            for provider, count in counted.items():
                try:
                    await self._rates.debit([Rate(f"provider:{provider}", self._per_second[provider])], count)
                except Exception as error:  # noqa: BLE001 - whatever it is: a message goes out uncounted, not late
                    log.warning("rate.not_counted", provider=provider, count=count, error=type(error).__name__)
