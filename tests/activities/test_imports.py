"""A run writes block after block, and may break off at any of them."""

import uuid
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy.exc import OperationalError
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from activities.imports import ImportActivities, ImportInput
from notifications.database import Sessions
from notifications.imports.blocks import ImportBlocks, Progress
from notifications.imports.writing import Outcome
from tests.notifications.imports.support import HASH_KEY, Published


class Pile(ImportBlocks):
    """Rows of one import, two a block; the database is lost where `broken` are left."""

    def __init__(self, sessions: Sessions, rows: int) -> None:
        super().__init__(sessions, Published(), hash_key=HASH_KEY)
        self.total = self.left = rows
        self.broken: int | None = None

    @override
    async def advance(self, import_id: UUID) -> tuple[Progress, Outcome]:
        if self.left == self.broken:
            raise OperationalError("", {}, Exception())
        taken = min(self.left, 2)
        self.left -= taken
        outcome = Outcome(created=max(0, taken - 1), refusals=[(1, "email", "x", "y")] if taken else [])
        return Progress(self.total - self.left, self.total, finished=not taken), outcome


async def run(pile: Pile, *, seconds: float = 60) -> Progress:
    activities = ImportActivities(pile, await Client.connect("127.0.0.1:1", lazy=True), seconds=seconds)
    return await ActivityEnvironment().run(activities.import_rows, ImportInput(str(uuid.uuid4())))


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("tidings_import_rows_total", {"outcome": outcome}) or 0.0


async def test_it_writes_all_and_counts_it(sessions: Sessions) -> None:
    before = counted("created"), counted("refused")
    assert await run(Pile(sessions, 4)) == Progress(4, 4, finished=True)
    assert (counted("created"), counted("refused")) == (before[0] + 2, before[1] + 2)


async def test_it_stops_in_time_and_the_next_run_goes_on(sessions: Sessions) -> None:
    pile = Pile(sessions, 4)
    assert await run(pile, seconds=0) == Progress(2, 4, finished=False)
    assert (await run(pile)).finished


async def test_without_the_database_it_is_tried_again(sessions: Sessions) -> None:
    pile = Pile(sessions, 4)
    pile.broken = 2
    with pytest.raises(ApplicationError, match="DatabaseUnavailable") as caught:
        await run(pile)
    assert not caught.value.non_retryable
    pile.broken = None
    assert (await run(pile)).rows == 4
