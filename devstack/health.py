"""Wait until a process answers, for a bounded time."""

import asyncio
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable

from devstack.processes import GuardedProcess, StackError

_PAUSE_SECONDS = 0.05
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


async def wait_until_healthy(
    process: GuardedProcess, check: Callable[[], Awaitable[bool]], *, timeout_seconds: float, advice: str
) -> None:
    """Ask `check` again and again; an OSError means not yet.

    Raises:
        StackError: the process ended, or did not answer in time; `advice` says what to do.

    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        if not process.running:
            status = await process.wait()
            raise StackError(
                f"{process.name} ended with status {status} while starting: {process.last_words()}; {advice}"
            )
        if await _answers(check):
            return
        if time.monotonic() > deadline:
            raise StackError(
                f"{process.name} did not answer within {timeout_seconds:.0f} s: {process.last_words()}; {advice}"
            )
        await asyncio.sleep(_PAUSE_SECONDS)


async def _answers(check: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await asyncio.wait_for(check(), 5)
    except (OSError, TimeoutError):
        return False


def _get(url: str) -> int:
    try:
        with _NO_PROXY.open(url, timeout=3) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


async def http_answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    return await asyncio.to_thread(_get, url) == 200  # noqa: PLR2004 - HTTP's own number
