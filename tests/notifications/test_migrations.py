"""The schema that the migrations make is the one the tables declare."""

from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

import notifications.tables  # noqa: F401 - fills the metadata
from notifications.database import Sessions
from notifications.schema_check import StaleSchemaError, check_schema, newest_revision, require_newest
from tests.support.campaign_messages import insert_with_messages
from tests.support.campaigns import campaign_of


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


async def test_the_people_of_campaigns_of_before_are_counted(own_database: Sessions):
    """Two of four messages are to one person's devices."""
    people = {1: "cus-1", 2: "cus-1", 3: "cus-2", 4: "cus-3"}
    older = await insert_with_messages(
        own_database, ["sent"] * 4, messages=lambda seq: {"recipient_id": people[seq]}, channel="push"
    )
    draft = await insert_with_messages(own_database, [], state="draft")
    revision = ScriptDirectory("migrations").get_revision("0011").module

    def go_back_and_up(raw: Connection) -> None:
        with Operations.context(MigrationContext.configure(raw)):
            revision.downgrade()
            revision.upgrade()

    async with own_database() as session, session.begin():
        await (await session.connection()).run_sync(go_back_and_up)
    assert (await campaign_of(own_database, older)).recipients == 3
    assert (await campaign_of(own_database, draft)).recipients == 0
