"""Runs the migrations on a connection that notifications/migrations.py, or `alembic` on the command line, provides."""

from alembic import context
from sqlalchemy import Connection, create_engine
from sqlmodel import SQLModel

import notifications.tables  # noqa: F401 - fills the metadata
from notifications.database import async_url
from notifications.settings import load_settings


def _run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=SQLModel.metadata, compare_server_default=True)
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    _run(given)
else:
    url = load_settings().database_url
    if url is None:
        message = "set TIDINGS_DATABASE_URL"
        raise SystemExit(message)
    with create_engine(async_url(url.get_secret_value())).connect() as opened:
        _run(opened)
