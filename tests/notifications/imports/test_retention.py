"""Old imports go with what they left behind, a bounded piece at a time."""

import uuid
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import select

from notifications.database import Sessions, transaction
from notifications.imports.cancelling import cancel_import
from notifications.retention import Kept, Retention
from notifications.settings import RetentionSettings
from notifications.statuses import ImportState
from notifications.tables import Import, ImportRefusal, ImportRow
from tests.notifications.imports.support import Desk

PERIOD = timedelta(days=30)


@pytest.fixture
def desk(sessions: Sessions) -> Desk:
    return Desk(sessions)


async def age(sessions: Sessions, import_id: UUID, by: timedelta) -> None:
    """As if everything of it had happened so long ago."""
    async with transaction(sessions) as session:
        row = await session.get(Import, import_id)
        assert row is not None
        row.created_at, row.updated_at = row.created_at - by, row.updated_at - by
        row.finished_at = datetime.now(UTC) - by if row.finished_at is not None else None


async def remove(sessions: Sessions, *, batch: int = 2) -> list[int]:
    """The rows that each statement removed, until none is left."""
    retention, removed = Retention(sessions, RetentionSettings(imports=PERIOD), batch=batch), []
    while True:
        found = await retention.remove(Kept.IMPORTS)
        assert found is not None
        if found.end:
            return removed
        removed.append(found.removed)


async def left(sessions: Sessions, import_id: UUID) -> tuple[bool, int, int]:
    async with sessions() as session:
        waiting = (await session.exec(select(ImportRow).where(ImportRow.import_id == import_id))).all()
        refused = (await session.exec(select(ImportRefusal).where(ImportRefusal.import_id == import_id))).all()
        return await session.get(Import, import_id) is not None, len(waiting), len(refused)


def people(refused: int, good: int) -> bytes:
    return b"id,email\n" + b",\n" * refused + b"".join(b"%s,\n" % uuid.uuid4().hex.encode() for _ in range(good))


async def test_a_finished_one_goes_with_its_refused_rows_in_pieces(desk: Desk, sessions: Sessions) -> None:
    old, young = [(await desk.take(people(5, 1))).id for _ in range(2)]
    await age(sessions, old, PERIOD + timedelta(hours=1))
    await age(sessions, young, PERIOD - timedelta(hours=1))
    removed = await remove(sessions)
    assert (sum(removed), max(removed)) == (6, 2)
    assert await left(sessions, old) == (False, 0, 0)
    assert await left(sessions, young) == (True, 0, 5)


async def test_a_cancelled_one_and_an_upload_that_was_given_up_leave_nothing_waiting(
    desk: Desk, sessions: Sessions
) -> None:
    cancelled, given_up = await desk.upload(people(0, 3)), await desk.upload(people(0, 3))
    await cancel_import(sessions, cancelled)
    async with transaction(sessions) as session:
        row = await session.get(Import, given_up)
        assert row is not None
        row.state, row.uploaded_at = ImportState.UPLOADING, None
    for each in (cancelled, given_up):
        await age(sessions, each, PERIOD + timedelta(hours=1))
    await remove(sessions)
    assert await left(sessions, cancelled) == (False, 0, 0)
    assert await left(sessions, given_up) == (False, 0, 0)


async def test_one_that_still_has_to_be_written_stays_however_old(desk: Desk, sessions: Sessions) -> None:
    waiting = await desk.upload(people(0, 3))
    await age(sessions, waiting, 2 * PERIOD)
    await remove(sessions)
    assert await left(sessions, waiting) == (True, 3, 0)
