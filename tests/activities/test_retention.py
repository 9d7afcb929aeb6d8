"""A run removes batch after batch, and may break off at any of them."""

from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from activities.retention import Places, Removed, RetentionActivities
from notifications.database import Sessions
from notifications.retention import Batch, Kept, Place, Retention
from notifications.settings import RetentionSettings


class Cupboard(Retention):
    """Numbered rows of each kind, two a batch; the database is lost at the row `broken`."""

    def __init__(self, sessions: Sessions, rows: int) -> None:
        super().__init__(sessions, RetentionSettings())
        self.rows = {kind: set(range(rows)) for kind in Kept}
        self.broken: int | None = None

    @override
    async def remove(self, kind: Kept, after: Place | None = None) -> Batch | None:
        start = int(after.id) if after is not None else -1
        page = [row for row in sorted(self.rows[kind]) if row > start][:2]
        if self.broken in page:
            raise OperationalError("", {}, Exception())
        self.rows[kind] -= set(page)
        return Batch(len(page), Place(datetime.now(UTC), str(page[-1] if page else start)), end=len(page) < 2)


async def run(cupboard: Retention, begin: Places | None = None, *, seconds: float = 20) -> Removed:
    environment = ActivityEnvironment()
    return await environment.run(RetentionActivities(cupboard, seconds=seconds).remove_old, begin or Places())


def counted(kind: Kept) -> float:
    return REGISTRY.get_sample_value("tidings_retention_removed_total", {"kind": kind.value}) or 0.0


async def test_it_removes_all_of_every_kind_and_counts_it(sessions: Sessions) -> None:
    before = counted(Kept.OUTBOX)
    result = await run(Cupboard(sessions, 5))
    assert result == Removed(removed={kind.value: 5 for kind in Kept}, places={})
    assert counted(Kept.OUTBOX) == before + 5


async def test_it_stops_in_time_and_the_next_run_goes_on(sessions: Sessions) -> None:
    cupboard = Cupboard(sessions, 5)
    result = await run(cupboard, Places({"outbox": Place(datetime.now(UTC), "2")}), seconds=0)
    assert (result.removed["outbox"], result.places["outbox"].id) == (0, "2")
    result = await run(cupboard, Places(result.places))
    assert (result.removed["outbox"], sorted(cupboard.rows[Kept.OUTBOX])) == (2, [0, 1, 2])
    assert not result.places, "the end was reached: the next run begins at the oldest"


async def test_a_run_that_breaks_off_between_batches_loses_nothing(sessions: Sessions) -> None:
    cupboard = Cupboard(sessions, 5)
    cupboard.broken = 2
    with pytest.raises(ApplicationError, match="DatabaseUnavailable"):
        await run(cupboard)
    assert sorted(cupboard.rows[Kept.NOTIFICATIONS]) == [2, 3, 4]
    cupboard.broken = None
    assert (await run(cupboard)).removed["notifications"] == 3
    assert (await run(cupboard)).removed == {kind.value: 0 for kind in Kept}
