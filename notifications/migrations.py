"""Schema migrations: apply them, or tell whether the database is behind."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

_ROOT = Path(__file__).resolve().parent.parent


class StaleSchemaError(Exception):
    """The database schema is not the one this code was written for."""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    return config


def _upgrade(connection: Connection) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def migrate(engine: AsyncEngine) -> None:
    """Bring the schema to the newest revision, in one transaction."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)


async def check_schema(engine: AsyncEngine) -> None:
    """Processes call this at start.

    Raises:
        StaleSchemaError: with the command that mends it.

    """
    head = ScriptDirectory.from_config(_config()).get_current_head()
    async with engine.connect() as connection:
        current = await connection.run_sync(lambda raw: MigrationContext.configure(raw).get_current_revision())
    if current != head:
        message = f"the database schema is at {current or 'nothing'}, this code needs {head}: python -m tidings migrate"
        raise StaleSchemaError(message)
