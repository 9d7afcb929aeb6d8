"""Where the servers keep their data: a folder that goes with the stack, or with --persist one that stays."""

import asyncio
import fcntl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from devstack.processes import StackError
from devstack.state import make_data_folder

_RELEASE_SECONDS = 60  # longer than the last process of a killed stack takes to end
_PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Data:
    """`locks` are descriptors that every guardian keeps open, so that the data is not free before all have ended."""

    folder: Path
    locks: tuple[int, ...] = ()


@asynccontextmanager
async def open_data(state: Path, *, persist: bool) -> AsyncIterator[Data]:
    """The folder, to be used by one stack at a time.

    A stack that was killed may still be stopping its servers: two servers must never write to the same data.

    Raises:
        StackError: what was left of an earlier stack does not end.

    """
    if not persist:
        yield Data(make_data_folder(state))
        return
    folder = _make_folder(state)
    with (folder / "lock").open("a", encoding="utf-8") as file:
        await _lock(file, folder)
        yield Data(folder, (file.fileno(),))


def _make_folder(state: Path) -> Path:
    folder = state.resolve() / "data"  # the servers run elsewhere
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


async def _lock(file: TextIO, folder: Path) -> None:
    deadline = time.monotonic() + _RELEASE_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise StackError(f"processes of an earlier stack still use {folder}: end them") from None
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return
