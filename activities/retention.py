"""Remove what has ended long enough ago, some batches at a time."""

import time
from dataclasses import dataclass, field

import structlog
from temporalio import activity

from activities import metrics
from activities.infrastructure import infrastructure
from notifications.retention import Kept, Place, Retention

SECONDS = 20  # of each kind and run: the next run goes on

log = structlog.get_logger()


@dataclass(frozen=True)
class Places:
    """Where the next run goes on, by kind; one without a place begins at the oldest."""

    places: dict[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class Removed:
    """Rows removed by kind; a notification counts once."""

    removed: dict[str, int]
    places: dict[str, Place]


class RetentionActivities:
    def __init__(self, retention: Retention, *, seconds: float = SECONDS) -> None:
        self._retention = retention
        self._seconds = seconds

    @activity.defn
    async def remove_old(self, begin: Places) -> Removed:
        """Each batch is a transaction of its own: breaking off loses nothing but the place."""
        removed: dict[str, int] = {}
        places: dict[str, Place] = {}
        for kind in Kept:
            count, place = await self._remove(kind, begin.places.get(kind))
            removed[kind.value] = count
            if place is not None:
                places[kind.value] = place
            if count:
                log.info("retention.removed", kind=kind.value, rows=count)
        return Removed(removed, places)

    async def _remove(self, kind: Kept, place: Place | None) -> tuple[int, Place | None]:
        """How many, and where to go on; None: at the oldest."""
        count = 0
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            async with infrastructure():
                batch = await self._retention.remove(kind, place)
            if batch is None:
                return count, None
            count += batch.removed
            metrics.REMOVED.labels(kind.value).inc(batch.removed)
            activity.heartbeat(kind.value, count)
            if batch.end:
                return count, None
            place = batch.place
        return count, place
