"""The bound on notifications that nothing has tried yet: starts outrun completions, so reading has to wait."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Protocol

from bridge.metrics import UNTRIED
from bridge.readiness import Patience
from notifications.statuses import NotificationType

_REFRESH_SECONDS = 0.5
_REOPEN = 0.75  # of the bound: pausing throws away what was fetched, so not at every step


class UntriedCounter(Protocol):
    async def count_untried(self, limit: int) -> dict[NotificationType, int]: ...


class Backlog:
    """Per type: what the database counted last, and what was started since. `limit` is the bound of each type."""

    def __init__(self, store: UntriedCounter, *, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._counted: Counter[NotificationType] = Counter()
        self._since: Counter[NotificationType] = Counter()
        self._full: set[NotificationType] = set()

    def is_full(self, types: Iterable[NotificationType]) -> bool:
        """Whether any of the types has reached its bound; safe from any thread."""
        return not self._full.isdisjoint(types)

    def note(self, types: Iterable[NotificationType]) -> None:
        """These were started just now."""
        self._since.update(types)
        self._judge()

    async def refresh(self) -> None:
        """Count again."""
        earlier, self._since = self._since, Counter()
        try:
            self._counted = Counter(await self._store.count_untried(self._limit))
        except BaseException:
            self._since += earlier
            raise
        self._judge()

    async def keep_fresh(self, patience: Patience) -> None:
        """Count twice a second until cancelled."""
        while True:
            await patience.until_done("backlog", self.refresh)
            await asyncio.sleep(_REFRESH_SECONDS)

    def _judge(self) -> None:
        full = set(self._full)
        for kind in NotificationType:
            untried = self._counted[kind] + self._since[kind]
            UNTRIED.labels(kind).set(untried)
            if untried >= self._limit:
                full.add(kind)
            elif untried < self._limit * _REOPEN:
                full.discard(kind)
        self._full = full  # one assignment: the consumers' threads read it
