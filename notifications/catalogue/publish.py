"""Publish a catalogue folder: one transaction, immutable numbered versions, nothing written where nothing changed."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.catalogue.checks import check_folder
from notifications.catalogue.definition import Category, Definition, StandaloneTemplate
from notifications.catalogue.folder import Folder, Loaded, read_folder
from notifications.catalogue.problems import CatalogueError
from notifications.database import Sessions, transaction
from notifications.queries import catalogue as queries

ORIGIN = "folder"

Action = Literal["new", "changed", "example changed", "retired", "restored", "unchanged"]


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one definition, template or category; `version` is the current one (0 for a category)."""

    kind: str  # definition | template | category
    name: str
    action: Action
    version: int


@dataclass(frozen=True, slots=True)
class ApplyReport:
    """Everything in the folder and in the database, also what is unchanged; `revision` after the publication."""

    changes: tuple[Change, ...]
    revision: int

    @property
    def changed(self) -> bool:
        return any(change.action != "unchanged" for change in self.changes)

    def as_json(self) -> dict[str, Any]:
        return {"changed": self.changed, "revision": self.revision, "changes": [asdict(item) for item in self.changes]}


def load_folder(path: Path | str) -> Folder:
    """Read a folder and check all of it.

    Raises:
        CatalogueError: with every problem that was found.

    """
    folder = read_folder(Path(path))
    problems = [*folder.problems, *check_folder(folder)]
    if problems:
        raise CatalogueError(problems)
    return folder


async def apply_folder(path: Path | str, sessions: Sessions) -> ApplyReport:
    """Make the folder the current catalogue. Two at once wait for each other; the second one sees what the first wrote.

    Raises:
        CatalogueError: the folder has problems; nothing was written.

    """
    async with transaction(sessions) as session:
        revision = await queries.lock_catalogue(session)
        folder = await asyncio.to_thread(load_folder, path)  # under the lock: an older reading cannot come last
        changes = await _apply_categories(session, folder.categories)
        changes += await _apply_entries(session, folder.loaded)
        report = ApplyReport(tuple(changes), revision)
        if not report.changed:
            return report
        return ApplyReport(report.changes, await queries.raise_revision(session))


async def _apply_categories(session: AsyncSession, wanted: Mapping[str, Category]) -> list[Change]:
    known = await queries.categories(session)
    changes: list[Change] = []
    for name, category in sorted(wanted.items()):
        if known.get(name) != category:
            await queries.put_category(session, category)
        action: Action = "new" if name not in known else "unchanged" if known[name] == category else "changed"
        changes.append(Change("category", name, action, 0))
    for name in sorted(known.keys() - wanted.keys()):
        await queries.delete_category(session, name)
        changes.append(Change("category", name, "retired", 0))
    return changes


async def _apply_entries(session: AsyncSession, loaded: list[Loaded]) -> list[Change]:
    known = {(row["kind"], row["name"]): row for row in await queries.current_entries(session)}
    changes: list[Change] = []
    for item in loaded:
        key = (item.content.kind, item.content.name)
        changes.append(await _apply_entry(session, item, known.pop(key, None)))
    for (kind, name), row in known.items():
        if not row["retired"] and row["origin"] == ORIGIN:
            await queries.retire(session, kind, name)
            changes.append(Change(kind, name, "retired", row["version"]))
    return changes


async def _apply_entry(session: AsyncSession, item: Loaded, known: Mapping[str, Any] | None) -> Change:
    content = item.content
    digest = content_hash(content)
    example = item.example.value if item.example else None
    action = _action(known, digest, example)
    if known is not None and action == "unchanged":
        return Change(content.kind, content.name, action, known["version"])
    dumped = content.model_dump(mode="json", exclude={"version"})
    version = await queries.put_version(session, content.kind, content.name, digest, dumped, example)
    await queries.point(session, content.kind, content.name, version, origin=ORIGIN)
    return Change(content.kind, content.name, action, version)


def _action(known: Mapping[str, Any] | None, digest: str, example: dict[str, Any] | None) -> Action:
    if known is None:
        return "new"
    if known["retired"]:
        return "restored"
    if known["content_hash"] != digest or known["origin"] != ORIGIN:
        return "changed"
    return "unchanged" if known["example"] == example else "example changed"


def content_hash(content: Definition | StandaloneTemplate) -> str:
    """SHA-256 of what decides the messages; the lines on which it was written do not count."""
    dumped = content.model_dump(mode="json", exclude={"version", "origins"})
    canonical = json.dumps(dumped, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
