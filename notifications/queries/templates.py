"""Stand-alone templates by name, and the drafts of those that are written through the API. Nobody here commits."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

_FOLDER_LAYOUTS = """
SELECT DISTINCT ON (l.key) l.key, l.value FROM catalogue_entries e
JOIN catalogue_versions v ON (v.kind, v.name, v.version) = (e.kind, e.name, e.current_version)
CROSS JOIN LATERAL jsonb_each_text(v.content -> 'layouts') l
WHERE e.retired_at IS NULL AND e.origin = 'folder'
ORDER BY l.key, v.created_at DESC
"""
# `published_at` is that of the version; `draft` is null where nobody writes at it.
_STATE = """
SELECT name, d.content AS draft, d.updated_at AS draft_at, e.current_version AS version, e.origin,
       e.retired_at IS NOT NULL AS retired, v.content, v.example, v.created_at AS published_at
FROM template_drafts d
FULL JOIN (SELECT * FROM catalogue_entries WHERE kind = 'template') e USING (name)
LEFT JOIN catalogue_versions v USING (kind, name)
WHERE (v.version = e.current_version OR e.name IS NULL) AND (d.name IS NOT NULL OR e.retired_at IS NULL)
"""
_ONE = f"{_STATE} AND name = :name"
_PAGE = f"{_STATE} AND name > :after ORDER BY name LIMIT :limit"
_VERSION = """
SELECT version, content, example, created_at FROM catalogue_versions
WHERE kind = 'template' AND name = :name AND version = :version
"""
_PUT_DRAFT = """
INSERT INTO template_drafts (name, content) VALUES (:name, CAST(:content AS jsonb))
ON CONFLICT (name) DO UPDATE SET content = excluded.content, updated_at = now()
"""
_ADD_DRAFT = """
INSERT INTO template_drafts (name, content) VALUES (:name, CAST(:content AS jsonb))
ON CONFLICT (name) DO NOTHING RETURNING name
"""
_TAKE_DRAFT = "DELETE FROM template_drafts WHERE name = :name RETURNING content"


class TemplateState(NamedTuple):
    """A template's draft and its current version; one of the two may be missing."""

    name: str
    draft: dict[str, Any] | None
    draft_at: Any
    version: int | None
    origin: str | None
    retired: bool
    content: dict[str, Any] | None
    example: dict[str, Any] | None
    published_at: Any


async def folder_layouts(session: AsyncSession) -> dict[str, str]:
    """The layouts of the catalogue folder, by name, as far as anything there extends them."""
    rows = await (await session.connection()).execute(text(_FOLDER_LAYOUTS))
    return {row.key: row.value for row in rows}


async def read_template(session: AsyncSession, name: str) -> TemplateState | None:
    row = (await (await session.connection()).execute(text(_ONE), {"name": name})).one_or_none()
    return TemplateState(*row) if row is not None else None


async def list_templates(session: AsyncSession, *, after: str, limit: int) -> list[TemplateState]:
    """A page by name; retired ones without a draft are left out."""
    rows = await (await session.connection()).execute(text(_PAGE), {"after": after, "limit": limit})
    return [TemplateState(*row) for row in rows]


async def read_version(session: AsyncSession, name: str, version: int) -> Mapping[str, Any] | None:
    """version, content, example and created_at."""
    found = await (await session.connection()).execute(text(_VERSION), {"name": name, "version": version})
    row = found.mappings().one_or_none()
    return dict(row) if row is not None else None


async def add_draft(session: AsyncSession, name: str, content: Mapping[str, Any]) -> bool:
    """Returns False, and changes nothing, where there is a draft of this name."""
    values = {"name": name, "content": orjson.dumps(content).decode()}
    return (await (await session.connection()).execute(text(_ADD_DRAFT), values)).first() is not None


async def put_draft(session: AsyncSession, name: str, content: Mapping[str, Any]) -> None:
    """Write the draft, over the one there is."""
    values = {"name": name, "content": orjson.dumps(content).decode()}
    await (await session.connection()).execute(text(_PUT_DRAFT), values)


async def take_draft(session: AsyncSession, name: str) -> dict[str, Any] | None:
    """Remove the draft and return its content; two at once get it once."""
    found: dict[str, Any] | None = (
        await (await session.connection()).execute(text(_TAKE_DRAFT), {"name": name})
    ).scalar()
    return found
