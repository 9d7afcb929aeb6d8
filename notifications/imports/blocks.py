"""Write an import's rows, a block in each transaction: validated, upserted, counted, and the cursor moved."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from notifications.catalogue.definition import Category
from notifications.database import Sessions, transaction
from notifications.imports.problems import FileError, RowError
from notifications.imports.rows import Row, RowReader
from notifications.imports.uploads import counted
from notifications.imports.writing import Outcome, RowWriter
from notifications.queries import imports as queries
from notifications.statuses import ImportState
from notifications.tables import Import

BLOCK = 2_000  # rows
IDLE_AFTER = timedelta(minutes=2)  # a block takes a second


class Catalogue(Protocol):
    @property
    def categories(self) -> Mapping[str, Category]: ...


class CatalogueSource(Protocol):
    async def current(self) -> Catalogue: ...


@dataclass(frozen=True)
class Progress:
    """`rows` were dealt with of `total`; `finished`: nothing is left to do, or there is no such import."""

    rows: int
    total: int
    finished: bool


@dataclass(slots=True)
class _Block:
    """The next rows as they are to be written, and the lines they are from and to."""

    after: int
    to: int
    rows: list[Row]
    outcome: Outcome  # of those that are not to be written


class ImportBlocks:
    def __init__(self, sessions: Sessions, catalogue: CatalogueSource, *, hash_key: bytes, block: int = BLOCK) -> None:
        self._sessions = sessions
        self._catalogue = catalogue
        self._hash_key = hash_key
        self._block = block

    async def advance(self, import_id: UUID) -> tuple[Progress, Outcome]:
        """Deal with the next block. Dying at any point, running twice or twice at once counts and writes a row once."""
        async with self._sessions() as session:
            found = await session.get(Import, import_id)
            if found is None or found.state not in (ImportState.WAITING, ImportState.RUNNING):
                return _progress(found), Outcome()
            page = await queries.page(session, import_id, after=found.done_to, limit=self._block)
        categories = (await self._catalogue.current()).categories
        # Reading phone numbers and addresses takes most of the time; the loop is for others meanwhile.
        block = await asyncio.to_thread(_read, found, page, categories)
        return await self._store(import_id, block)

    async def idle(self, limit: int) -> list[UUID]:
        """Imports that wait for their rows to be written, and that nothing has moved for `IDLE_AFTER`."""
        async with self._sessions() as session:
            return await queries.idle_imports(session, since=datetime.now(UTC) - IDLE_AFTER, limit=limit)

    async def _store(self, import_id: UUID, block: _Block) -> tuple[Progress, Outcome]:
        outcome = block.outcome
        async with transaction(self._sessions) as session:
            row = await session.get(Import, import_id, with_for_update=True)
            if row is None or row.done_to != block.after or row.finished_at is not None:
                return _progress(row), Outcome()  # somebody else did this block
            if block.to == block.after:
                row.state, row.finished_at = ImportState.COMPLETED, datetime.now(UTC)
            else:
                outcome.add(await RowWriter(self._hash_key, keep=not row.dry_run).write(session, block.rows))
                await queries.remove_passed(session, import_id, after=block.after, to=block.to)
                await queries.copy_refusals(session, import_id, outcome.refusals)
                _count(row, block)
        return _progress(row), outcome


def _count(row: Import, block: _Block) -> None:
    for name, count in block.outcome.counts().items():
        setattr(row, name, getattr(row, name) + count)
    row.refused += len(block.outcome.refusals)
    row.refused_by = counted(row.refused_by, [columns for _, columns, _, _ in block.outcome.refusals])
    row.state, row.done_to, row.updated_at = ImportState.RUNNING, block.to, datetime.now(UTC)


def _progress(row: Import | None) -> Progress:
    if row is None:
        return Progress(0, 0, finished=True)
    return Progress(done(row), row.rows, finished=row.state not in (ImportState.WAITING, ImportState.RUNNING))


def done(row: Import) -> int:
    """The rows that are dealt with."""
    return row.created + row.updated + row.unchanged + row.superseded + row.refused


def _read(found: Import, page: Sequence[Any], categories: Mapping[str, Category]) -> _Block:
    block = _Block(found.done_to, page[-1].line if page else found.done_to, [], Outcome())
    try:
        reader = RowReader(found.columns, found.delimiter, categories, chosen_at=found.created_at)
    except FileError as error:  # the catalogue has changed since the header was checked
        block.outcome.refusals = [(line, "row", str(error), content) for line, _, content, _ in page]
        return block
    for line, recipient_id, content, superseded in page:
        if superseded:
            block.outcome.superseded += 1
            continue
        try:
            block.rows.append(reader.read(line, recipient_id, content))
        except RowError as error:
            block.outcome.refusals.append((line, " ".join(error.columns), str(error), content))
    return block
