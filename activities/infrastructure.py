"""An outage of our own servers is no failure of the message: it is tried again within seconds, without end."""

import asyncio
import random
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from notifications.campaigns.lifecycle import UnknownCategoryError
from notifications.plans import UnknownNotificationError
from notifications.profiles.profile import ProfileUnavailableError

MAX_BACKOFF = timedelta(seconds=5)

Result = TypeVar("Result")

log = structlog.get_logger()


@asynccontextmanager
async def infrastructure() -> AsyncIterator[None]:
    """Turn a lost database or profile service into a retryable error with a short, jittered delay.

    A notification that is not there will not be there later either: it was removed, or the database is another.
    Nothing else leaves with its own text or cause either: Temporal stores both, and they may quote an address.
    """
    try:
        yield
    except ApplicationError:
        raise
    except UnknownNotificationError as error:
        message = f"there is no notification {error} in the database"
        raise ApplicationError(message, type="UnknownNotification", non_retryable=True) from None
    except UnknownCategoryError as error:
        raise ApplicationError(str(error), type="UnknownCategory") from None
    except ProfileUnavailableError as error:
        raise _retryable("ProfileUnavailable", error) from None
    except Exception as error:  # noqa: BLE001 - whatever it is, its text must not reach Temporal
        if is_outage(error):
            raise _retryable("DatabaseUnavailable", error) from None
        kind = type(error).__name__
        log.error("activity.bug", error=kind, where=where(error))  # noqa: TRY400 - the text may be personal
        raise ApplicationError(f"{kind}: see the worker's log", type=kind) from None


def is_outage(error: Exception) -> bool:
    """Whether Postgres could not be reached, or was lost on the way."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeoutError | OSError):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


async def outlast(ask: Callable[[], Awaitable[Result]], *, until: datetime) -> Result:
    """Ask our own servers again and again through an outage; at `until` the outage is raised."""
    pause = 0.1
    while True:
        try:
            return await ask()
        except Exception as error:
            if not is_outage(error) or datetime.now(UTC) + timedelta(seconds=pause) > until:
                raise
        await asyncio.sleep(pause)
        pause = min(2 * pause, 2.0)


def where(error: BaseException) -> str:
    """The innermost lines of a traceback, without the error's own text."""
    return "".join(traceback.format_tb(error.__traceback__)[-4:])


def _retryable(kind: str, error: Exception) -> ApplicationError:
    log.warning("infrastructure.unavailable", kind=kind, error=type(error).__name__)
    return ApplicationError(
        f"{kind}: {type(error).__name__}; tried again within {MAX_BACKOFF.seconds} s",
        type=kind,
        next_retry_delay=MAX_BACKOFF * random.uniform(0.4, 1.0),  # noqa: S311 - jitter, not a secret
        category=ApplicationErrorCategory.BENIGN,
    )
