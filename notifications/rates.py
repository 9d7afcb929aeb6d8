"""How fast messages go out: one rate per campaign and one per provider account, shared by every process.

The generic cell rate algorithm (ITU-T I.371): a key has a time at which its next message is due; each message moves
it on by `1 / rate`. In any one second a key lets at most `rate + max(1, rate * 0.5 s)` messages through.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from notifications.database import Sessions, execute_alone
from notifications.queries import rates as sql


@dataclass(frozen=True, slots=True)
class Rate:
    """`key` is `campaign:<id>` or `provider:<name>`; `per_second` is above 0."""

    key: str
    per_second: float


@dataclass(frozen=True, slots=True)
class Grant:
    """`count` messages may go out now; 0: ask again after `wait` seconds."""

    count: int
    wait: float


class Rates:
    """One per process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._known: set[str] = set()

    async def take(self, rates: Sequence[Rate], wanted: int) -> Grant:
        """Take up to `wanted` messages from all of these together, or from none. Without a rate all are granted."""
        if not rates:
            return Grant(wanted, 0.0)
        await self._ensure(rates)
        rows = await execute_alone(self._sessions, sql.TAKE, _costs(rates) | {"wanted": wanted})
        if not rows:  # removed since, with its campaign
            self._known.difference_update(rate.key for rate in rates)
            return Grant(0, 0.0)
        count, wait = rows[0]
        return Grant(count, 0.0 if count else wait)

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
