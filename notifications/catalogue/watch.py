"""Follow a catalogue folder while somebody edits it."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import DefaultFilter, awatch

_SETTLE_MS = 200  # editors save in several steps: wait until a burst of changes ends
_STEP_MS = 50


async def watch(path: Path | str, on_change: Callable[[], Awaitable[None]]) -> None:
    """Call `on_change` after each burst of changes, one call at a time, until cancelled.

    Changes made during a call lead to another one. `on_change` deals with its own errors: one that it raises ends
    the watch.

    Raises:
        FileNotFoundError: there is no such folder.

    """
    async for _ in awatch(path, watch_filter=DefaultFilter(), debounce=_SETTLE_MS, step=_STEP_MS):
        await on_change()
