"""Categories, and files as the streams that they arrive in."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from notifications.catalogue.definition import Category
from notifications.database import Sessions
from notifications.imports.blocks import ImportBlocks, Progress
from notifications.imports.uploads import NewImport, Uploads
from notifications.statuses import ImportFormat
from notifications.tables import Import

HASH_KEY = b"a key for tests only, at least 32 long"
CATEGORIES = {
    name: Category.model_validate({"name": name, "title": name.title(), "default": default})
    for name, default in (("offers", "opted_out"), ("payments", "required"))
}


@dataclass
class Published:
    """The catalogue, which a test may change."""

    categories: Mapping[str, Category] = field(default_factory=lambda: CATEGORIES)

    async def current(self) -> "Published":
        return self


async def stream(data: bytes, *, chunk: int = 50, broken: bool = False) -> AsyncIterator[bytes]:
    """In chunks; `broken`: the sender goes away after the last one."""
    for start in range(0, len(data), chunk):
        yield data[start : start + chunk]
    if broken:
        raise ConnectionError


def lines(*documents: object) -> bytes:
    return "\n".join(json.dumps(document) for document in documents).encode()


class Desk:
    """Imports on a real database, without the processes around them."""

    def __init__(self, sessions: Sessions, *, block: int = 3) -> None:
        self.sessions = sessions
        self.published = Published()
        self.uploads = Uploads(sessions, CATEGORIES, max_bytes=10_000_000)
        self.blocks = ImportBlocks(sessions, self.published, hash_key=HASH_KEY, block=block)

    async def upload(self, data: bytes, *, dry_run: bool = False, key: str | None = None) -> UUID:
        form = ImportFormat.NDJSON if data.startswith(b"{") else ImportFormat.CSV
        return (await self.uploads.begin(NewImport(format=form, key=key, dry_run=dry_run), stream(data))).id

    async def finish(self, import_id: UUID) -> Import:
        progress = Progress(0, 0, finished=False)
        while not progress.finished:
            progress, _ = await self.blocks.advance(import_id)
        return await self.get(import_id)

    async def take(self, data: bytes, *, dry_run: bool = False) -> Import:
        return await self.finish(await self.upload(data, dry_run=dry_run))

    async def get(self, import_id: UUID) -> Import:
        async with self.sessions() as session:
            row = await session.get(Import, import_id)
        assert row is not None
        return row


def counts(row: Import) -> dict[str, int]:
    names = ("created", "updated", "unchanged", "superseded", "refused")
    return {name: getattr(row, name) for name in names if getattr(row, name)}
