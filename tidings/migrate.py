"""`python -m tidings migrate`: the schema of the database in TIDINGS_DATABASE_URL."""

import asyncio

import typer


def migrate() -> None:
    """Bring the database schema to the newest revision; does nothing where it is there already."""
    from sqlalchemy.exc import SQLAlchemyError

    from notifications.database import create_engine
    from notifications.migrations import migrate as run_migrations
    from notifications.settings import load_settings

    async def run() -> None:
        engine = create_engine(load_settings().database_url, pool_size=1)
        try:
            await run_migrations(engine)
        finally:
            await engine.dispose()

    try:
        asyncio.run(run())
    except (ValueError, SQLAlchemyError) as error:
        typer.echo(
            f"the database was not migrated: {str(getattr(error, 'orig', None) or error).splitlines()[0]}", err=True
        )
        raise typer.Exit(1) from None
    typer.echo("the database schema is at the newest revision")
