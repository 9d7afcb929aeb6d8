"""An upload: a stream of bytes into staging, a piece in each transaction, so that it goes on where it broke off."""

import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.catalogue.definition import Category
from notifications.database import Sessions, transaction
from notifications.imports.columns import Kind, read_columns, read_header
from notifications.imports.problems import FileError, RowError
from notifications.imports.records import MAX_RECORD, CsvRecords, JsonRecords, Record, Records
from notifications.imports.rows import cell_text, checked_id, json_id
from notifications.queries import imports as queries
from notifications.statuses import ImportFormat, ImportState
from notifications.tables import Import

PIECE = 256 * 1024  # bytes of whole rows in one transaction
Chunks = AsyncIterator[bytes]


class UploadConflictError(Exception):
    """It does not go on here; `found` says where it stands."""

    def __init__(self, found: Import) -> None:
        super().__init__(f"the import is {found.state} and has {found.received_bytes} bytes")
        self.found = found


class FileTooLargeError(Exception):
    """More bytes came than are taken, or are `declared` to come."""

    def __init__(self, *, declared: bool = False) -> None:
        super().__init__()
        self.declared = declared


class UnknownImportError(LookupError):
    """There is no such import."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImport:
    """`key` names the file, so that it can be found again; there is one unfinished import for each."""

    format: ImportFormat
    key: str | None = None
    name: str | None = None
    dry_run: bool = False


@dataclass(slots=True)
class _Piece:
    """What is read and not stored yet."""

    rows: list[tuple[int, str, str]] = field(default_factory=list)
    refusals: list[tuple[int, str, str, str]] = field(default_factory=list)


class Uploads:
    """`categories`: those that are published now; `max_bytes` bounds a file, `piece` what is held of it."""

    def __init__(
        self, sessions: Sessions, categories: Mapping[str, Category], *, max_bytes: int, piece: int = PIECE
    ) -> None:
        self._sessions = sessions
        self._categories = categories
        self._max_bytes = max_bytes
        self._piece = piece

    async def begin(self, wanted: NewImport, chunks: Chunks) -> Import:
        """Take a new file to its end; what was taken stays if it breaks off.

        Raises:
            FileError: nothing of it can be imported.
            FileTooLargeError: see `max_bytes`.
            UploadConflictError: an import with this key is not finished.

        """
        row = Import(
            id=uuid.uuid4(),
            key=wanted.key,
            name=wanted.name,
            format=wanted.format,
            dry_run=wanted.dry_run,
            refused_by={},
        )
        first = b""
        if wanted.format is ImportFormat.CSV:
            first, rest = await _first_line(chunks)
            row.delimiter, row.columns = read_header(first, self._categories)
            row.next_line, row.received_bytes = 2, len(first)
            chunks = _chained(rest, chunks)
        upload = _Upload(self._sessions, row, self._categories, is_new=True)
        await upload.take(chunks, max_bytes=self._max_bytes, piece=self._piece)
        return upload.row

    async def resume(self, import_id: UUID, offset: int, chunks: Chunks) -> Import:
        """Take the rest of a file, from `offset` in bytes.

        Raises:
            UnknownImportError: there is none.
            UploadConflictError: it does not go on at this place, or has all of its file.
            FileTooLargeError: see `max_bytes`.

        """
        async with self._sessions() as session:
            row = await session.get(Import, import_id)
        if row is None:
            raise UnknownImportError(str(import_id))
        if row.state != ImportState.UPLOADING or row.received_bytes != offset:
            raise UploadConflictError(row)
        upload = _Upload(self._sessions, row, self._categories, is_new=False)
        await upload.take(chunks, max_bytes=self._max_bytes, piece=self._piece)
        return upload.row


class _Upload:
    def __init__(self, sessions: Sessions, row: Import, categories: Mapping[str, Category], *, is_new: bool) -> None:
        self.row = row
        self._sessions = sessions
        self._is_new = is_new
        self._piece = _Piece()
        self._records: Records
        if row.columns is None:
            self._records = JsonRecords(line=row.next_line, offset=row.received_bytes)
            self._id_at = None
        else:
            columns = read_columns(row.columns, categories)
            self._id_at = next(index for index, column in enumerate(columns) if column.kind is Kind.ID)
            self._records = CsvRecords(
                row.delimiter or ",", len(columns), line=row.next_line, offset=row.received_bytes
            )

    async def take(self, chunks: Chunks, *, max_bytes: int, piece: int) -> None:
        size = self.row.received_bytes
        async for chunk in chunks:
            if size == 0 and chunk.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise FileError("the file is UTF-16: save it as UTF-8")
            size += len(chunk)
            if size > max_bytes:
                raise FileTooLargeError()  # noqa: RSE102 - it has a keyword of its own
            self._read(chunk)
            if self._records.offset - self.row.received_bytes >= piece:
                await self._store(end=False)
        self._read(b"", end=True)
        await self._store(end=True)

    def _read(self, chunk: bytes, *, end: bool = False) -> None:
        for record in self._records.feed(chunk, end=end):
            try:
                recipient_id = self._id_of(record)
            except RowError as error:
                self._piece.refusals.append((record.line, " ".join(error.columns), str(error), record.content))
            else:
                self._piece.rows.append((record.line, recipient_id, record.content))

    def _id_of(self, record: Record) -> str:
        if record.problem is not None:
            raise RowError.of("row", record.problem)
        if record.fields is None or self._id_at is None:
            return json_id(record.content)
        try:
            return checked_id(cell_text(record.fields[self._id_at]))
        except ValueError as error:
            raise RowError.of("id", str(error)) from None

    async def _store(self, *, end: bool) -> None:
        """One transaction: what was read since the last one, and where the file goes on."""
        piece, self._piece = self._piece, _Piece()
        if end and self._is_new and not piece.rows and not piece.refusals:
            raise FileError("the file has no rows" if self.row.columns else "the file is empty")
        try:
            async with transaction(self._sessions) as session:
                row = await self._locked(session)
                await queries.copy_rows(session, row.id, piece.rows)
                await queries.copy_refusals(session, row.id, piece.refusals)
                self._count(row, piece, end=end)
                session.add(row)
        except IntegrityError:
            if not self._is_new:
                raise
            await self._refuse_second()
            raise
        self.row, self._is_new = row, False

    async def _locked(self, session: AsyncSession) -> Import:
        """The row of this import, if nobody has moved it since it was read."""
        if self._is_new:
            return Import(**self.row.model_dump())
        row = await session.get(Import, self.row.id, with_for_update=True)
        if row is None:
            raise UnknownImportError(str(self.row.id))
        if row.state != ImportState.UPLOADING or row.received_bytes != self.row.received_bytes:
            session.expunge(row)  # to be read after the transaction
            raise UploadConflictError(row)
        return row

    def _count(self, row: Import, piece: _Piece, *, end: bool) -> None:
        row.rows += len(piece.rows) + len(piece.refusals)
        row.refused += len(piece.refusals)
        row.refused_by = counted(row.refused_by, [columns for _, columns, _, _ in piece.refusals])
        row.received_bytes, row.next_line = self._records.offset, self._records.line
        row.updated_at = datetime.now(UTC)
        if end:
            row.state, row.uploaded_at = ImportState.WAITING, row.updated_at

    async def _refuse_second(self) -> None:
        """Raises UploadConflictError where an unfinished import with the same key is the cause."""
        if self.row.key is None:
            return
        async with self._sessions() as session:
            found = await queries.newest_with_key(session, self.row.key)
        if found is not None:
            raise UploadConflictError(found)


def counted(before: Mapping[str, int], columns: list[str]) -> dict[str, int]:
    """With one more for each column of each refused row."""
    counts = dict(before)
    for column in (name for names in columns for name in names.split(" ")):
        counts[column] = counts.get(column, 0) + 1
    return counts


async def _first_line(chunks: Chunks) -> tuple[bytes, bytes]:
    """The first line with its end, and what came after it.

    Raises:
        FileError: there is none of a usable length.

    """
    data = b""
    async for chunk in chunks:
        data += chunk
        end = data.find(b"\n") + 1
        if end:
            return data[:end], data[end:]
        if len(data) > MAX_RECORD:
            raise FileError("the first line, which names the columns, is too long: has the file line ends?")
    if not data:
        raise FileError("the file is empty: its first line names the columns")
    return data, b""


async def _chained(first: bytes, chunks: Chunks) -> Chunks:
    if first:
        yield first
    async for chunk in chunks:
        yield chunk
