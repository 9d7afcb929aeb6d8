"""An outage of our own servers is no failure of the message: it is tried again within seconds, without end."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from notifications.profiles.profile import ProfileUnavailableError

MAX_BACKOFF = timedelta(seconds=5)

log = structlog.get_logger()


@asynccontextmanager
async def infrastructure() -> AsyncIterator[None]:
    """Turn a lost database or profile service into a retryable error with a short, jittered delay."""
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
        raise _retryable("DatabaseUnavailable", error) from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise _retryable("DatabaseUnavailable", error) from error
    except ProfileUnavailableError as error:
        raise _retryable("ProfileUnavailable", error) from error


def _retryable(kind: str, error: Exception) -> ApplicationError:
    log.warning("infrastructure.unavailable", kind=kind, error=type(error).__name__)
    return ApplicationError(
        f"{kind}: {type(error).__name__}; tried again within {MAX_BACKOFF.seconds} s",
        type=kind,
        next_retry_delay=MAX_BACKOFF * random.uniform(0.4, 1.0),  # noqa: S311 - jitter, not a secret
        category=ApplicationErrorCategory.BENIGN,
    )
