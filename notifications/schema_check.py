"""Whether the database has the schema that this code was written for; every process asks at its start.

Without alembic, whose import takes 7 MB that a process would keep for good.
"""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_VERSIONS = Path(__file__).resolve().parent.parent / "migrations" / "versions"


class StaleSchemaError(Exception):
    """The database schema is not the one this code was written for."""


def newest_revision() -> str:
    """The last of the migrations, whose files are named and ordered by their revisions."""
    return max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))


async def check_schema(engine: AsyncEngine) -> None:
    """Refuse a database that is behind, or ahead.

    Raises:
        StaleSchemaError: with the command that mends it.

    """
    async with engine.connect() as connection:
        await require_newest(connection)


async def require_newest(connection: AsyncConnection) -> None:
    """As `check_schema`, for the schema that this connection sees."""
    is_there = (await connection.execute(text("SELECT to_regclass('alembic_version')"))).scalar_one() is not None
    current = is_there and (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar()
    needed = newest_revision()
    if current != needed:
        raise StaleSchemaError(
            f"the database schema is at {current or 'nothing'}, this code needs {needed}: python -m tidings migrate"
        )
