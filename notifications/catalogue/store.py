"""The published catalogue as processes read it: the current one, kept fresh, and every version for ever."""

import asyncio
import difflib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, cast

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.catalogue.definition import Category, Definition, StandaloneTemplate
from notifications.database import Sessions
from notifications.queries import catalogue as queries

_CHECK_EVERY = 1.0  # seconds between two looks at the revision
_KEPT_VERSIONS = 1_000

_Item = TypeVar("_Item", Definition, StandaloneTemplate)


class UnknownVersionError(LookupError):
    """No such version was ever published."""


@dataclass(frozen=True)
class Catalogue:
    """What is published now. `definitions`, `templates` and `categories` are by name."""

    revision: int = 0
    definitions: Mapping[str, Definition] = field(default_factory=dict)
    templates: Mapping[str, StandaloneTemplate] = field(default_factory=dict)
    categories: Mapping[str, Category] = field(default_factory=dict)
    examples: Mapping[str, dict[str, Any]] = field(default_factory=dict)

    @cached_property
    def _by_event_type(self) -> dict[str, Definition]:
        found = {alias: item for item in self.definitions.values() for alias in item.aliases}
        return found | dict(self.definitions)

    def find(self, event_type: str) -> Definition | None:
        """The definition for this event type or alias."""
        return self._by_event_type.get(event_type)

    def nearest(self, event_type: str) -> str | None:
        """The known event type that is most like this one, for an error message."""
        near = difflib.get_close_matches(event_type, self._by_event_type, n=1, cutoff=0.5)
        return near[0] if near else None

    def example(self, name: str) -> dict[str, Any] | None:
        """The definition's example event."""
        found = self.find(name)
        return self.examples.get(found.name) if found else None


class CatalogueStore:
    """Reads from Postgres; safe for concurrent use within one event loop."""

    def __init__(self, sessions: Sessions, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions = sessions
        self._clock = clock
        self._lock = asyncio.Lock()
        self._current: Catalogue | None = None
        self._checked_at = 0.0
        self._versions: OrderedDict[tuple[str, str, int], Definition | StandaloneTemplate] = OrderedDict()

    async def current(self) -> Catalogue:
        """The catalogue as of at most a second ago.

        Raises:
            sqlalchemy.exc.DBAPIError: Postgres does not answer; the old catalogue is not used, nothing is sent then.

        """
        if self._current is not None and self._clock() - self._checked_at < _CHECK_EVERY:
            return self._current
        async with self._lock:
            if self._current is None or self._clock() - self._checked_at >= _CHECK_EVERY:
                checked_at = self._clock()
                self._current = await self._refreshed(self._current)
                self._checked_at = checked_at
            return self._current

    async def version(self, name: str, version: int) -> Definition:
        """One published version of a definition, retired ones included.

        Raises:
            UnknownVersionError: it was never published.

        """
        return await self._version("definition", name, version, _definition)

    async def template_version(self, name: str, version: int) -> StandaloneTemplate:
        """One published version of a stand-alone template, retired ones and those of a single campaign included.

        Raises:
            UnknownVersionError: it was never published.

        """
        return await self._version("template", name, version, _template)

    async def _version(self, kind: str, name: str, version: int, read: Callable[[dict[str, Any], int], _Item]) -> _Item:
        key = (kind, name, version)
        if key in self._versions:
            self._versions.move_to_end(key)
            return cast("_Item", self._versions[key])
        async with self._sessions() as session:
            content = await queries.version_content(session, kind, name, version)
        if content is None:
            raise UnknownVersionError(f"the {kind} {name!r} has no version {version}")
        item = read(content, version)
        self._versions[key] = item
        if len(self._versions) > _KEPT_VERSIONS:
            self._versions.popitem(last=False)
        return item

    async def _refreshed(self, known: Catalogue | None) -> Catalogue:
        async with self._sessions() as session:
            _ = await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            revision = await queries.revision(session)
            if known is not None and known.revision == revision:
                return known
            return await _read(session, revision)


async def _read(session: AsyncSession, revision: int) -> Catalogue:
    rows = [row for row in await queries.current_entries(session) if not row["retired"]]
    definitions = [row for row in rows if row["kind"] == "definition"]
    return Catalogue(
        revision=revision,
        definitions={row["name"]: _definition(row["content"], row["version"]) for row in definitions},
        templates={row["name"]: _template(row["content"], row["version"]) for row in rows if row["kind"] == "template"},
        categories=await queries.categories(session),
        examples={row["name"]: row["example"] for row in definitions if row["example"] is not None},
    )


def _definition(content: dict[str, Any], version: int) -> Definition:
    return Definition.model_validate({**content, "version": version})


def _template(content: dict[str, Any], version: int) -> StandaloneTemplate:
    return StandaloneTemplate.model_validate({**content, "version": version})
