"""The published catalogue's SQL: versions are only ever inserted, an entry points at the current one."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.catalogue.definition import Category

_LOCK = """
INSERT INTO catalogue_revision (id, revision) VALUES (1, 0) ON CONFLICT (id) DO NOTHING
"""
_REVISION_FOR_UPDATE = "SELECT revision FROM catalogue_revision WHERE id = 1 FOR UPDATE"
_REVISION = "SELECT revision FROM catalogue_revision WHERE id = 1"
_RAISE = "UPDATE catalogue_revision SET revision = revision + 1 WHERE id = 1 RETURNING revision"

_CURRENT = """
SELECT e.kind, e.name, e.origin, e.retired_at IS NOT NULL AS retired, v.version, v.content_hash, v.content, v.example
FROM catalogue_entries e
JOIN catalogue_versions v ON (v.kind, v.name, v.version) = (e.kind, e.name, e.current_version)
ORDER BY e.kind, e.name
"""
_VERSION = "SELECT content FROM catalogue_versions WHERE (kind, name, version) = (:kind, :name, :version)"
_KNOWN_VERSION = """
SELECT version FROM catalogue_versions WHERE (kind, name, content_hash) = (:kind, :name, :content_hash)
"""
_INSERT_VERSION = """
INSERT INTO catalogue_versions (kind, name, version, content_hash, content, example)
SELECT CAST(:kind AS text), CAST(:name AS text), coalesce(max(version), 0) + 1, :content_hash,
       CAST(:content AS jsonb), CAST(:example AS jsonb)
FROM catalogue_versions WHERE kind = CAST(:kind AS text) AND name = CAST(:name AS text)
RETURNING version
"""
_SET_EXAMPLE = """
UPDATE catalogue_versions SET example = CAST(:example AS jsonb)
WHERE (kind, name, version) = (:kind, :name, :version) AND example IS DISTINCT FROM CAST(:example AS jsonb)
"""
_POINT = """
INSERT INTO catalogue_entries (kind, name, current_version, origin) VALUES (:kind, :name, :version, :origin)
ON CONFLICT (kind, name) DO UPDATE
SET current_version = excluded.current_version, origin = excluded.origin, retired_at = NULL
"""
_RETIRE = "UPDATE catalogue_entries SET retired_at = now() WHERE (kind, name) = (:kind, :name)"
_CATEGORIES = "SELECT name, content FROM categories ORDER BY name"
_SET_CATEGORY = """
INSERT INTO categories (name, content) VALUES (:name, CAST(:content AS jsonb))
ON CONFLICT (name) DO UPDATE SET content = excluded.content
"""
_DELETE_CATEGORY = "DELETE FROM categories WHERE name = :name"


def _json(value: Any) -> str | None:
    return None if value is None else orjson.dumps(value).decode()


async def lock_catalogue(session: AsyncSession) -> int:
    """Wait until no other publication runs, and keep others out until the transaction ends; the revision."""
    connection = await session.connection()
    await connection.execute(text(_LOCK))
    return int((await connection.execute(text(_REVISION_FOR_UPDATE))).scalar_one())


async def revision(session: AsyncSession) -> int:
    """The number raised with every change; 0 before the first."""
    connection = await session.connection()
    return int((await connection.execute(text(_REVISION))).scalar() or 0)


async def raise_revision(session: AsyncSession) -> int:
    connection = await session.connection()
    return int((await connection.execute(text(_RAISE))).scalar_one())


async def current_entries(session: AsyncSession) -> list[Mapping[str, Any]]:
    """kind, name, retired, version, content_hash, content and example of each entry's current version."""
    connection = await session.connection()
    return [dict(row) for row in (await connection.execute(text(_CURRENT))).mappings()]


async def version_content(session: AsyncSession, kind: str, name: str, version: int) -> dict[str, Any] | None:
    connection = await session.connection()
    found: dict[str, Any] | None = (
        await connection.execute(text(_VERSION), {"kind": kind, "name": name, "version": version})
    ).scalar()
    return found


async def put_version(
    session: AsyncSession,
    kind: str,
    name: str,
    content_hash: str,
    content: Mapping[str, Any],
    example: Mapping[str, Any] | None,
) -> int:
    """The number of the version with this content, made if there is none. Nothing points at a new one yet.

    The example is no part of a version: it is replaced in place.
    """
    connection = await session.connection()
    key = {"kind": kind, "name": name}
    found = (await connection.execute(text(_KNOWN_VERSION), {**key, "content_hash": content_hash})).scalar()
    if found is None:
        values = {**key, "content_hash": content_hash, "content": _json(content), "example": _json(example)}
        found = (await connection.execute(text(_INSERT_VERSION), values)).scalar_one()
    else:
        await connection.execute(text(_SET_EXAMPLE), {**key, "version": found, "example": _json(example)})
    return int(found)


async def point(session: AsyncSession, kind: str, name: str, version: int, *, origin: str) -> None:
    """Make a version the current one. `origin` says who keeps the entry from now on: `folder` or `api`."""
    connection = await session.connection()
    values = {"kind": kind, "name": name, "version": version, "origin": origin}
    await connection.execute(text(_POINT), values)


async def retire(session: AsyncSession, kind: str, name: str) -> None:
    connection = await session.connection()
    await connection.execute(text(_RETIRE), {"kind": kind, "name": name})


async def categories(session: AsyncSession) -> dict[str, Category]:
    connection = await session.connection()
    rows = (await connection.execute(text(_CATEGORIES))).all()
    return {name: Category.model_validate(content) for name, content in rows}


async def put_category(session: AsyncSession, category: Category) -> None:
    connection = await session.connection()
    values = {"name": category.name, "content": category.model_dump_json()}
    await connection.execute(text(_SET_CATEGORY), values)


async def delete_category(session: AsyncSession, name: str) -> None:
    connection = await session.connection()
    await connection.execute(text(_DELETE_CATEGORY), {"name": name})
