"""An upload that breaks off goes on where it was, and nothing of a file is stored twice or lost."""

import asyncio
import uuid

import pytest
from sqlmodel import col, select

from notifications.database import Sessions
from notifications.imports.problems import FileError
from notifications.imports.uploads import (
    FileTooLargeError,
    NewImport,
    UnknownImportError,
    UploadConflictError,
    Uploads,
)
from notifications.statuses import ImportFormat, ImportState
from notifications.tables import Import, ImportRefusal, ImportRow
from tests.api.support import unique
from tests.notifications.imports.support import CATEGORIES, Desk, stream

CSV = NewImport(format=ImportFormat.CSV)


@pytest.fixture
def desk(sessions: Sessions) -> Desk:
    return Desk(sessions)


async def staged(desk: Desk, row: Import) -> list[tuple[int, str, str]]:
    async with desk.sessions() as session:
        statement = select(ImportRow).where(ImportRow.import_id == row.id).order_by(col(ImportRow.line))
        return [(found.line, found.recipient_id, found.content) for found in await session.exec(statement)]


PIECE = 2_000


def small_pieces(sessions: Sessions) -> Uploads:
    return Uploads(sessions, CATEGORIES, max_bytes=1_000_000, piece=PIECE)


def big(rows: int = 200) -> bytes:
    return b"id,name\n" + b"".join(b'c%d,"a name of\nsome length"\n' % number for number in range(rows))


async def test_rows_wait_as_they_came_and_unreadable_ones_are_refused(desk: Desk) -> None:
    data = b'\xef\xbb\xbfid,name\r\nc1,Ana\r\n,nobody\r\nc2\r\n "c3"x,y'
    row = await desk.uploads.begin(CSV, stream(data))
    assert (row.state, row.rows, row.refused, row.received_bytes) == (ImportState.WAITING, 4, 3, len(data))
    assert row.refused_by == {"id": 1, "row": 2}
    assert await staged(desk, row) == [(2, "c1", "c1,Ana\r\n")]
    async with desk.sessions() as session:
        refused = (await session.exec(select(ImportRefusal).where(ImportRefusal.import_id == row.id))).all()
    problems = {found.line: found.problem for found in refused}
    assert problems[3] == "id: empty: every row needs your own id of the person"
    assert problems[4] == "row: the row has 1 cells, the header has 2"
    assert "quotation mark stands within a cell" in problems[5]


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"id,name\n", "no rows"), (b"id,name\n\n\n", "no rows"), (b"i" * 100_000, "too long")],
)
async def test_a_file_without_rows_leaves_nothing(desk: Desk, data: bytes, words: str) -> None:
    key = unique("key")
    with pytest.raises(FileError, match=words):
        await desk.uploads.begin(NewImport(format=ImportFormat.CSV, key=key), stream(data, chunk=5000))
    async with desk.sessions() as session:
        assert (await session.exec(select(Import).where(Import.key == key))).first() is None


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\xff\xfe{\0"])
async def test_an_empty_or_foreign_ndjson_is_refused(desk: Desk, data: bytes) -> None:
    with pytest.raises(FileError):
        await desk.uploads.begin(NewImport(format=ImportFormat.NDJSON), stream(data))


@pytest.mark.parametrize("cut", [4_000, 3_333, 1_500])
async def test_one_that_breaks_off_goes_on_where_it_was(desk: Desk, cut: int) -> None:
    data, key = big(), unique("key")
    with pytest.raises(ConnectionError):
        await small_pieces(desk.sessions).begin(
            NewImport(format=ImportFormat.CSV, key=key), stream(data[:cut], chunk=300, broken=True)
        )
    async with desk.sessions() as session:
        row = (await session.exec(select(Import).where(Import.key == key))).first()
    if cut < PIECE:
        assert row is None, "nothing was stored: it begins anew"
        return
    assert row is not None
    assert PIECE <= row.received_bytes <= cut
    again = small_pieces(desk.sessions)
    done = await again.resume(row.id, row.received_bytes, stream(data[row.received_bytes :], chunk=300))
    assert (done.state, done.rows, done.received_bytes) == (ImportState.WAITING, 200, len(data))
    lines = await staged(desk, done)
    assert [line for line, _, _ in lines] == list(range(2, 402, 2))
    assert [recipient for _, recipient, _ in lines] == [f"c{number}" for number in range(200)]


async def test_two_that_go_on_at_once_store_every_row_once(desk: Desk) -> None:
    data = big()
    row = Import(id=(await desk.upload(b"id\nx\n")), format="csv")
    async with desk.sessions() as session:
        found = await session.get(Import, row.id)
        assert found is not None
        found.state, found.columns = ImportState.UPLOADING, ["id", "name"]
        session.add(found)
        await session.commit()
    both = [small_pieces(desk.sessions).resume(row.id, 5, stream(data[8:], chunk=300)) for _ in range(2)]
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Import", "UploadConflictError"]
    (lost,) = (outcome for outcome in outcomes if isinstance(outcome, UploadConflictError))
    assert lost.found.id == row.id
    assert len(await staged(desk, row)) == 201


async def test_it_does_not_go_on_anywhere_else(desk: Desk) -> None:
    import_id = await desk.upload(b"id\nc1\n")
    with pytest.raises(UploadConflictError) as caught:
        await desk.uploads.resume(import_id, 0, stream(b"id\n"))
    assert caught.value.found.id == import_id
    with pytest.raises(UnknownImportError):
        await desk.uploads.resume(uuid.uuid4(), 0, stream(b""))


async def test_one_key_has_one_unfinished_import(desk: Desk) -> None:
    key = unique("key")
    first = await desk.upload(b"id\nc1\n", key=key)
    with pytest.raises(UploadConflictError) as caught:
        await desk.upload(b"id\nc1\n", key=key)
    assert caught.value.found.id == first
    await desk.finish(first)
    assert await desk.upload(b"id\nc1\n", key=key) != first


async def test_a_file_has_a_size(sessions: Sessions) -> None:
    small = Uploads(sessions, CATEGORIES, max_bytes=20)
    with pytest.raises(FileTooLargeError):
        await small.begin(CSV, stream(b"id\n" + b"c\n" * 20))
    assert (await small.begin(CSV, stream(b"id\n" + b"c\n" * 8))).rows == 8
