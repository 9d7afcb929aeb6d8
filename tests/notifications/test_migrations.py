"""The schema that the migrations make is the one the tables declare."""

from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

import notifications.tables  # noqa: F401 - fills the metadata
from notifications.schema_check import StaleSchemaError, check_schema, newest_revision, require_newest


async def test_migrations_make_exactly_the_declared_tables(engine: AsyncEngine):
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda raw: compare_metadata(MigrationContext.configure(raw), SQLModel.metadata)
        )
    assert differences == []


async def test_a_migrated_database_is_accepted(engine: AsyncEngine):
    await check_schema(engine)


def test_the_newest_revision_is_the_one_that_alembic_goes_to():
    assert newest_revision() == ScriptDirectory("migrations").get_current_head()


async def test_a_database_without_a_schema_or_with_another_is_refused(engine: AsyncEngine):
    async with engine.connect() as connection:
        name = f"stale_{uuid4().hex[:12]}"
        await connection.execute(text(f"CREATE SCHEMA {name}"))
        await connection.execute(text(f"SET search_path TO {name}"))
        with pytest.raises(StaleSchemaError, match=r"is at nothing, .* python -m tidings migrate"):
            await require_newest(connection)
        await connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
        await connection.execute(text("INSERT INTO alembic_version VALUES ('0001')"))
        with pytest.raises(StaleSchemaError, match="is at 0001, "):
            await require_newest(connection)
