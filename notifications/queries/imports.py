"""Imports: rows into staging, and a block of them into recipients. Nobody here commits."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy import tuple_
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.database import execute, execute_prepared
from notifications.tables import Import, ImportRefusal

# A later row is looked for in the index of the ids: with a plain comparison of lines the planner might read all of
# them. The scalar query cannot become a join of the whole table either.
_PAGE = """
SELECT r.line, r.recipient_id, r.content,
       (SELECT true FROM import_rows l WHERE l.import_id = r.import_id AND l.recipient_id = r.recipient_id
           AND l.line + 0 > r.line LIMIT 1) AS superseded
FROM import_rows r WHERE r.import_id = %(import_id)s AND r.line > %(after)s ORDER BY r.line LIMIT %(limit)s
"""
_PASSED = """
DELETE FROM import_rows WHERE import_id = %(import_id)s AND line > %(after)s AND line <= %(to)s RETURNING 1
"""
_KNOWN = "SELECT id FROM recipients WHERE id = ANY(%(ids)s::text[])"

# Rows go as one JSON document: to write them as arrays costs the driver ten times the CPU.
_GIVEN = """
json_to_recordset(%(rows)s::json) AS g(
    id text, name text, email text, email_ref bytea, phone text, phone_ref bytea, locale text, timezone text,
    attributes jsonb, emptied text[], removed text[])
"""
_INSERT = f"""
INSERT INTO recipients (id, name, email, email_ref, phone, phone_ref, locale, timezone, attributes)
SELECT g.id, g.name, g.email, g.email_ref, g.phone, g.phone_ref, g.locale, g.timezone, COALESCE(g.attributes, '{{}}')
FROM {_GIVEN}
ON CONFLICT (id) DO NOTHING RETURNING id
"""


def _merged(column: str, field: str) -> str:
    """What is given, else what is kept, unless the field is emptied."""
    return f"CASE WHEN '{field}' = ANY(g.emptied) THEN NULL ELSE COALESCE(g.{column}, r.{column}) END"


# The refs go with their addresses.
_MERGED = {
    "name": _merged("name", "name"),
    "email": _merged("email", "email"),
    "email_ref": _merged("email_ref", "email"),
    "phone": _merged("phone", "phone"),
    "phone_ref": _merged("phone_ref", "phone"),
    "locale": _merged("locale", "locale"),
    "timezone": _merged("timezone", "timezone"),
    "attributes": "(r.attributes || COALESCE(g.attributes, '{}')) - COALESCE(g.removed, '{}')",
}
_UPDATE = f"""
UPDATE recipients r SET updated_at = now(), {", ".join(f"{name} = {value}" for name, value in _MERGED.items())}
FROM {_GIVEN}
WHERE r.id = g.id AND ({", ".join(f"r.{name}" for name in _MERGED)}) IS DISTINCT FROM ({", ".join(_MERGED.values())})
RETURNING r.id
"""

# As `queries.recipients.upsert_device` does with one: a new token enables a disabled device again.
_DEVICES = """
INSERT INTO devices (recipient_id, id, token, token_ref, platform)
SELECT * FROM json_to_recordset(%(rows)s::json)
    AS g(recipient_id text, id text, token text, token_ref bytea, platform text)
ON CONFLICT (recipient_id, id) DO UPDATE SET
    token = excluded.token, token_ref = excluded.token_ref, platform = excluded.platform,
    disabled_at = CASE WHEN devices.token = excluded.token THEN devices.disabled_at END,
    disabled_reason = CASE WHEN devices.token = excluded.token THEN devices.disabled_reason END
WHERE (devices.token, devices.token_ref, devices.platform)
    IS DISTINCT FROM (excluded.token, excluded.token_ref, excluded.platform)
RETURNING 1
"""
_MOVED = """
UPDATE devices d SET disabled_at = now(), disabled_reason = 'moved'
FROM json_to_recordset(%(rows)s::json) AS g(recipient_id text, id text, token text)
WHERE d.token = g.token AND (d.recipient_id, d.id) <> (g.recipient_id, g.id) AND d.disabled_at IS NULL
RETURNING 1
"""
_CHOICES = """
INSERT INTO preferences (recipient_id, category, channel, opted_in, source, "time")
SELECT * FROM json_to_recordset(%(rows)s::json)
    AS g(recipient_id text, category text, channel text, opted_in boolean, source text, "time" timestamptz)
ON CONFLICT (recipient_id, category, channel) DO UPDATE SET
    opted_in = excluded.opted_in, source = excluded.source, "time" = excluded."time"
WHERE preferences."time" < excluded."time" OR (preferences."time" = excluded."time"
    AND (preferences.opted_in, preferences.source) IS DISTINCT FROM (excluded.opted_in, excluded.source))
RETURNING 1
"""
_OLDER = """
SELECT count(*) AS count
FROM json_to_recordset(%(rows)s::json) AS g(recipient_id text, category text, channel text, "time" timestamptz)
JOIN preferences p ON p.recipient_id = g.recipient_id AND p.category = g.category AND p.channel = g.channel
WHERE p."time" > g."time"
"""

Rows = Sequence[Mapping[str, Any]]


async def copy_rows(session: AsyncSession, import_id: UUID, rows: Sequence[tuple[int, str, str]]) -> None:
    """Rows by line, id and content."""
    await _copy(session, "COPY import_rows (import_id, line, recipient_id, content) FROM STDIN", import_id, rows)


async def copy_refusals(session: AsyncSession, import_id: UUID, refusals: Sequence[tuple[int, str, str, str]]) -> None:
    """Refused rows by line, columns, problem and content."""
    statement = 'COPY import_refusals (import_id, line, "column", problem, content) FROM STDIN'
    await _copy(session, statement, import_id, refusals)


async def _copy(session: AsyncSession, statement: str, import_id: UUID, rows: Sequence[tuple[Any, ...]]) -> None:
    """Within the session's transaction."""
    if not rows:
        return
    driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
    try:
        async with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                await copy.write_row((import_id, *row))
    except psycopg.Error as error:  # as everything else on this connection would be
        raise DBAPIError.instance(statement, None, error, psycopg.Error, hide_parameters=True) from None


async def page(session: AsyncSession, import_id: UUID, *, after: int, limit: int) -> Sequence[Any]:
    """The next rows by line, with `superseded` where a later one has the same id."""
    await execute(session, "SET LOCAL enable_bitmapscan = off")  # it would sort all that is left for each page
    return await execute_prepared(session, _PAGE, {"import_id": import_id, "after": after, "limit": limit})


async def remove_passed(session: AsyncSession, import_id: UUID, *, after: int, to: int) -> None:
    await execute_prepared(session, _PASSED, {"import_id": import_id, "after": after, "to": to})


async def upsert_recipients(session: AsyncSession, rows: Rows) -> tuple[int, int]:
    """How many are created and how many updated; the rest is unchanged. Ids are sorted and each once.

    What is inserted by somebody else at this moment is waited for, and then updated like one that was there before.
    """
    known = {row.id for row in await execute_prepared(session, _KNOWN, {"ids": [row["id"] for row in rows]})}
    new = [row for row in rows if row["id"] not in known]
    created: set[str] = set()
    if new:
        created = {row.id for row in await execute_prepared(session, _INSERT, _rows(new))}
    there = [row for row in rows if row["id"] not in created]
    updated = await execute_prepared(session, _UPDATE, _rows(there)) if there else ()
    return len(created), len(updated)


def _rows(rows: Rows) -> dict[str, str]:
    """What a row does not name is null there."""
    return {"rows": json.dumps(rows)}


async def upsert_devices(session: AsyncSession, devices: Rows) -> int:
    """How many are new or changed. A token is taken from any other device that had it; each is given once."""
    rows = _rows(devices)
    written = await execute_prepared(session, _DEVICES, rows)
    await execute_prepared(session, _MOVED, rows)
    return len(written)


async def upsert_choices(session: AsyncSession, choices: Rows) -> tuple[int, int]:
    """How many are new or changed, and for how many a newer one is kept."""
    rows = _rows(choices)
    written = await execute_prepared(session, _CHOICES, rows)
    (older,) = await execute_prepared(session, _OLDER, rows)
    return len(written), older.count


async def idle_imports(session: AsyncSession, *, since: datetime, limit: int) -> list[UUID]:
    """Those that are uploaded, are not finished and were not moved since then; longest first."""
    statement = select(Import.id).where(
        col(Import.finished_at).is_(None), col(Import.uploaded_at).is_not(None), col(Import.updated_at) < since
    )
    return list(await session.exec(statement.order_by(col(Import.updated_at)).limit(limit)))


async def newest_with_key(session: AsyncSession, key: str) -> Import | None:
    statement = select(Import).where(Import.key == key).order_by(col(Import.created_at).desc()).limit(1)
    return (await session.exec(statement)).first()


async def list_imports(
    session: AsyncSession, *, key: str | None = None, before: tuple[Any, UUID] | None = None, limit: int = 50
) -> list[Import]:
    """Newest first; `before` is the (created_at, id) of the last one of the page before."""
    place = (col(Import.created_at), col(Import.id))
    statement = select(Import).order_by(*(part.desc() for part in place)).limit(limit)
    if key is not None:
        statement = statement.where(Import.key == key)
    if before is not None:
        statement = statement.where(tuple_(*place) < tuple_(*before))
    return list(await session.exec(statement))


async def refusals(session: AsyncSession, import_id: UUID, *, after: int, limit: int) -> list[ImportRefusal]:
    """A page by line."""
    statement = select(ImportRefusal).where(ImportRefusal.import_id == import_id, col(ImportRefusal.line) > after)
    return list(await session.exec(statement.order_by(col(ImportRefusal.line)).limit(limit)))
