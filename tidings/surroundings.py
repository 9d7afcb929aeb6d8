"""What a command needs of the servers, and its failures in one line instead of a traceback."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import typer
from sqlalchemy.exc import SQLAlchemyError

from bridge.producer import ProduceError
from notifications.database import Sessions, create_engine, create_sessions
from notifications.events import RejectedError
from notifications.rendering.errors import RenderError
from notifications.schema_check import StaleSchemaError, check_schema
from notifications.settings import Settings


class CommandError(Exception):
    """What a person asked for cannot be done; the text says what to do instead."""


@contextmanager
def failing_in_one_line() -> Iterator[None]:
    """End with status 1 and one line on stderr for what a person can mend; a fault of ours keeps its traceback."""
    try:
        yield
    except RejectedError as error:
        line = f"the event is wrong: {error.detail}"
    except (CommandError, StaleSchemaError, ProduceError, RenderError, ValueError) as error:
        line = str(error)
    except SQLAlchemyError as error:
        line = f"PostgreSQL does not answer as it should ({type(error).__name__}): run `python -m tidings doctor`"
    except OSError as error:
        line = str(error)
    else:
        return
    typer.echo(line, err=True)
    raise typer.Exit(1)


@asynccontextmanager
async def open_sessions(settings: Settings) -> AsyncIterator[Sessions]:
    """The database, if it is the one that this code was written for.

    Raises:
        ValueError: no address is set.
        StaleSchemaError: it is not migrated.

    """
    engine = create_engine(settings.database_url, pool_size=2)
    try:
        await check_schema(engine)
        yield create_sessions(engine)
    finally:
        await engine.dispose()
