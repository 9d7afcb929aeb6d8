"""What keeps the bridge from working, said once in the log, and for as long as it lasts in metric and readiness."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from bridge.metrics import TROUBLE

T = TypeVar("T")

_FIRST_WAIT = 0.2  # seconds
_LONGEST_WAIT = 10.0

log = structlog.get_logger()


class StoppedError(Exception):
    """The process ends; what was not finished is read again after the restart."""


class Readiness:
    """The open problems by name. Read and written from any thread."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}

    def problems(self) -> dict[str, str]:
        """For `/readyz`: empty means ready."""
        return dict(self._problems)

    def expect(self, part: str, problem: str) -> None:
        """Not ready until `well`, which is no trouble yet."""
        self._problems[part] = problem

    def trouble(self, part: str, problem: str) -> None:
        if self._problems.get(part) != problem:
            log.warning("bridge.trouble", part=part, problem=problem)
        self._problems[part] = problem
        TROUBLE.labels(part).set(1)

    def well(self, part: str) -> None:
        if self._problems.pop(part, None) is not None:
            log.info("bridge.well", part=part)
        TROUBLE.labels(part).set(0)


class Patience:
    """Does a thing until it succeeds: whatever fails here is ours to wait for, never a reason to skip a record."""

    def __init__(self, readiness: Readiness, stopping: asyncio.Event, *, owner: str) -> None:
        self._readiness = readiness
        self._stopping = stopping
        self._owner = owner
        self._failing: dict[str, int] = {}

    @property
    def is_tried(self) -> bool:
        """Whether something fails right now; nothing more should be read then."""
        return bool(self._failing)

    async def until_done(self, part: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Call `attempt` again and again, with a growing wait.

        Raises:
            StoppedError: the process ends first.

        """
        wait, has_failed, part = _FIRST_WAIT, False, f"{part} ({self._owner})"
        try:
            while True:
                try:
                    return await attempt()
                except StoppedError:
                    raise
                except Exception as error:  # noqa: BLE001 - a skipped record would be lost, so every error waits
                    if not has_failed:
                        has_failed = True
                        self._failing[part] = self._failing.get(part, 0) + 1
                    self._readiness.trouble(part, describe(error))
                await self._pause(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
        finally:
            if has_failed:
                self._recover(part)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds * random.uniform(0.5, 1)):  # noqa: S311 - spreads retries
                await self._stopping.wait()
        except TimeoutError:
            return
        raise StoppedError

    def _recover(self, part: str) -> None:
        self._failing[part] -= 1
        if not self._failing[part]:
            del self._failing[part]
            self._readiness.well(part)


def describe(error: BaseException) -> str:
    """The kind of an error; its text may repeat what a record holds."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlstate", None) or getattr(getattr(cause, "status", None), "name", None)
    return f"{type(cause).__name__} ({code})" if code else type(cause).__name__
