"""Each step of a batch is done again until it succeeds; a batch that is not done is never reported as done."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bridge.intake import Intake
from bridge.readiness import Patience, Readiness, StoppedError
from notifications.campaigns.events import CampaignEvents, TouchedCampaign
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import Catalogue, CatalogueStore
from notifications.database import Sessions, execute
from notifications.events import Record
from notifications.ids import event_uuid
from notifications.ledger import Ledger
from notifications.pending import PendingStart
from notifications.queries.intake import Arrival, IntakeStore, Stored
from notifications.settings import Settings
from notifications.statuses import NotificationType
from tests.support.events import CATALOGUE, SOURCE, cancel, event, launch, record, unique
from tests.support.programs import eventually


class _Definitions:
    async def current(self) -> Catalogue:
        return CATALOGUE


class _Store(IntakeStore):
    """The real one, failing as often as it is told to."""

    store_failures = mark_failures = 0

    async def store(self, arrivals: Sequence[Arrival]) -> Stored:
        if self.store_failures:
            self.store_failures -= 1
            raise ConnectionError
        return await super().store(arrivals)

    async def mark_started(self, ids: Sequence[UUID]) -> None:
        if self.mark_failures:
            self.mark_failures -= 1
            raise ConnectionError
        await super().mark_started(ids)


class _Temporal:
    """Counts runs as the server does: one per id."""

    def __init__(self) -> None:
        self.runs: set[UUID] = set()
        self.calls = 0
        self.woken: list[UUID] = []
        self.told: list[TouchedCampaign] = []
        self.failures = 0

    async def start(self, pending: PendingStart) -> None:
        self.calls += 1
        self._fail()
        self.runs.add(pending.id)

    async def wake_cancelled(self, notification_id: UUID) -> None:
        self._fail()
        self.woken.append(notification_id)

    async def tell_campaign(self, touched: TouchedCampaign) -> None:
        self._fail()
        self.told.append(touched)

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise ConnectionError


class _Bench:
    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        campaigns = CampaignEvents(CatalogueStore(sessions).current, Settings())
        ledger = Ledger(sessions, process="test")
        self.store = _Store(sessions, ledger=ledger, campaigns=campaigns, hash_key=b"0123456789abcdef")
        self.temporal, self.readiness, self.stopping = _Temporal(), Readiness(), asyncio.Event()
        self.noted: list[NotificationType] = []
        self.steps: list[str] = []
        self.intake = Intake(
            store=self.store,
            definitions=_Definitions(),
            workflows=self.temporal,
            patience=Patience(self.readiness, self.stopping, owner="test"),
            note_starts=self.noted.extend,
            remembered_for=timedelta(days=90),
            on_step=self._step,
        )

    async def _step(self, step: str) -> None:
        self.steps.append(step)

    async def started(self, notification_id: UUID) -> bool:
        async with self.sessions() as session:
            statement = "SELECT started_at FROM notifications WHERE id = :id"
            return (await execute(session, statement, {"id": notification_id})).scalar_one() is not None


@pytest.fixture
def bench(sessions: Sessions) -> _Bench:
    return _Bench(sessions)


def _batch(count: int = 3) -> tuple[list[Record], list[UUID]]:
    events = [event() for _ in range(count)]
    records = [record(one, partition=int(unique("1")[-7:], 16)) for one in events]
    return records, [event_uuid(SOURCE, str(one["id"])) for one in events]


async def test_a_batch_is_stored_started_and_marked(bench: _Bench) -> None:
    records, ids = _batch()
    await bench.intake.handle([*records, record(b"bad", partition=int(unique("1")[-7:], 16))])
    assert bench.temporal.runs == set(ids)
    assert bench.steps == ["stored", "started", "marked"]
    assert bench.noted == [NotificationType.TRANSACTIONAL] * 3
    assert all([await bench.started(one) for one in ids])


async def test_outages_of_everything_lose_nothing_and_start_nothing_twice(bench: _Bench) -> None:
    records, ids = _batch()
    bench.store.store_failures, bench.store.mark_failures, bench.temporal.failures = 1, 1, 2
    await bench.intake.handle(records)
    assert bench.temporal.runs == set(ids)
    assert bench.temporal.calls == 5  # only the two that failed are started again
    assert all([await bench.started(one) for one in ids])
    assert bench.readiness.problems() == {}


async def test_a_second_delivery_starts_nothing(bench: _Bench) -> None:
    records, _ = _batch()
    await bench.intake.handle(records)
    await bench.intake.handle(records)
    assert bench.temporal.calls == 3


async def test_a_stopped_batch_is_not_done_and_goes_on_where_it_was(bench: _Bench) -> None:
    records, ids = _batch(1)
    bench.temporal.failures = 1_000
    handling = asyncio.create_task(bench.intake.handle(records))
    await eventually(lambda: "temporal (test)" in bench.readiness.problems())
    bench.stopping.set()
    with pytest.raises(StoppedError):
        await handling
    assert not await bench.started(ids[0])
    after = _Bench(bench.sessions)
    await after.intake.handle(records)
    assert after.temporal.runs == set(ids)
    assert await after.started(ids[0])


async def test_a_cancelled_notification_is_woken_even_when_temporal_is_away(bench: _Bench) -> None:
    key = unique("key")
    made = event(cancelkey=key)
    await bench.intake.handle([record(made, partition=int(unique("1")[-7:], 16))])
    bench.temporal.failures = 1
    await bench.intake.handle([record(cancel(key), partition=int(unique("1")[-7:], 16))])
    assert event_uuid(SOURCE, str(made["id"])) in bench.temporal.woken


async def test_a_launched_campaign_is_told_even_when_temporal_is_away(bench: _Bench) -> None:
    await apply_folder("catalogue", bench.sessions)
    made = launch()
    records = [record(made, topic="campaigns", partition=int(unique("1")[-7:], 16))]
    bench.temporal.failures = 1
    await bench.intake.handle(records)
    campaign_id = event_uuid(SOURCE, str(made["id"]))
    assert bench.temporal.told == [TouchedCampaign(campaign_id, 1, "Spring sale", ended=False)]
    await bench.intake.handle(records)  # read once more: a bridge that died between commit and start did not start it
    assert len(bench.temporal.told) == 2


async def test_a_record_that_is_older_than_the_ledgers_memory_starts_nothing(bench: _Bench) -> None:
    """The notification that it may have become is removed already: a topic that was read from its beginning again."""
    records, ids = _batch(2)
    days = [datetime.now(UTC) - timedelta(days=age) for age in (90, 88)]
    await bench.intake.handle([replace(one, written_at=at) for one, at in zip(records, days, strict=True)])
    assert bench.temporal.runs == {ids[1]}
    async with bench.sessions() as session:
        statement = "SELECT reason FROM rejected_events WHERE topic = :topic AND partition = :partition"
        parameters = {"topic": records[0].topic, "partition": records[0].partition}
        assert (await execute(session, statement, parameters)).scalars().all() == ["too_old"]
