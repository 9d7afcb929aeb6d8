"""The schema that the migrations make is the one the tables declare."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

import notifications.tables  # noqa: F401 - fills the metadata
from notifications.migrations import check_schema


async def test_migrations_make_exactly_the_declared_tables(engine: AsyncEngine):
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda raw: compare_metadata(MigrationContext.configure(raw), SQLModel.metadata)
        )
    assert differences == []


async def test_a_migrated_database_is_accepted(engine: AsyncEngine):
    await check_schema(engine)
