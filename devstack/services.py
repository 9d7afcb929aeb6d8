"""One process of the stack: kept running, taken down on purpose, brought back with the same command."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from devstack.health import wait_until_healthy
from devstack.processes import Command, GuardedProcess, Spawner, kill_family


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a crashed process is started again; one that held out begins anew."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    steady_seconds: float = 30.0

    def delay(self, crashes: int) -> float:
        return float(min(self.longest_seconds, self.first_seconds * 2 ** (crashes - 1)))


def where_to_look(name: str, data: Path | None = None) -> str:
    """The advice for a process that does not start; `data` is what it kept from an earlier run."""
    log = f"its log is in .tidings/logs/{name}.log"
    return f"{log}; to begin anew, remove {data}" if data else log


class Service:
    """Starts the command, waits with `is_ready`, an OSError of which means not yet, and knows whether it should run."""

    def __init__(
        self,
        command: Command,
        spawner: Spawner,
        *,
        is_ready: Callable[[], Awaitable[bool]],
        start_seconds: float,
        advice: str,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = command.name
        self._command, self._spawner = command, spawner
        self._is_ready, self._start_seconds, self._advice = is_ready, start_seconds, advice
        self._backoff = backoff or Backoff()
        self._process: GuardedProcess | None = None
        self._taken_down: GuardedProcess | None = None  # the last one that did not end by itself
        self._wanted = asyncio.Event()
        self._wanted.set()
        self._changing = asyncio.Lock()  # or one could be started while it is being taken down

    @property
    def process(self) -> GuardedProcess:
        """The one that runs, or ran last; its `pid` takes signals."""
        assert self._process is not None, f"{self.name} was not started"  # noqa: S101 - `start` comes first
        return self._process

    async def start(self) -> None:
        """Start it unless it runs, and wait until it is ready.

        Raises:
            StackError: it ended, or is not ready in time.

        """
        await self._launch()
        await wait_until_healthy(self.process, self._is_ready, timeout_seconds=self._start_seconds, advice=self._advice)

    async def take_down(self, *, kill: bool = False) -> None:
        """End it and leave it so: politely, or by SIGKILL to it and all that it started."""
        self._wanted.clear()
        async with self._changing:
            if self._process is None:
                return
            self._taken_down = self._process
            if kill:
                kill_family(self._process)
                await self._process.wait()
            else:
                await self._process.stop()

    async def bring_back(self) -> None:
        """As `start`, for one that was taken down."""
        self._wanted.set()
        await self.start()

    async def keep_running(self) -> None:
        """Start it again, later and later, each time it ends by itself; until cancelled."""
        crashes = 0
        while True:
            process, began = self.process, time.monotonic()
            status = await process.wait()
            if process is not self._taken_down:
                held_out = time.monotonic() - began >= self._backoff.steady_seconds
                crashes = 1 if held_out else crashes + 1
                delay = self._backoff.delay(crashes)
                self._spawner.say(self.name, f"ended with status {status}; starts again in {delay:g} s")
                await asyncio.sleep(delay)
            await self._wanted.wait()
            await self._launch()

    async def _launch(self) -> None:
        async with self._changing:
            if self._wanted.is_set() and not (self._process and self._process.running):
                self._process = await self._spawner.start(self._command)
