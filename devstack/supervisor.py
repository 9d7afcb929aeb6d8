"""The whole stack: servers, what they need to hold, the processes of Tidings; kept running until it is told to stop."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from devstack.applications import Application, ApplicationSpec, applications
from devstack.data import Data, open_data
from devstack.links import links_table, timings_table
from devstack.logs import Logs
from devstack.ports import DEFAULT_PORTS, choose_ports
from devstack.processes import GuardedProcess, Spawner, StackError
from devstack.servers import Servers
from devstack.state import STATE, Endpoints, forget, hold_lock, write_endpoints, write_variables
from devstack.steps import Step, Timing, run_steps
from devstack.variables import process_environment

_NEEDS_OF_WORKERS = ("migrations", "temporal")
_NEEDS_OF_DOORS = ("topics",)
SERVER_NAMES = ("postgres", "temporal", "kafka", "sandbox")


class StackInterruptedError(Exception):
    """A signal stopped the stack while it started."""


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """`quiet` processes write to `.tidings/logs/` only; `persist` keeps the servers' data in `.tidings/data/`.

    `ports` are where things listen unless something else does.
    """

    state: Path = STATE
    persist: bool = False
    ports: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_PORTS))
    timings: bool = False
    quiet: Sequence[str] = SERVER_NAMES


async def watch_server(process: GuardedProcess) -> None:
    """Without a server, and the data that went with it, nothing can go on.

    Raises:
        StackError: it ended.

    """
    status = await process.wait()
    raise StackError(
        f"{process.name} ended with status {status}: {process.last_words()};"
        f" see .tidings/logs/{process.name}.log and start the stack again"
    )


class Stack:
    """Made by `running_stack`."""

    def __init__(self, options: StackOptions, console: Console, data: Data) -> None:
        self._options = options
        self._console = console
        self._logs = Logs(console, options.state / "logs", quiet=options.quiet)
        self.spawner = Spawner(self._logs.write, keep_open=data.locks)
        self.timings: list[Timing] = []
        self._ports, notes = choose_ports(options.ports)
        self.servers = Servers(
            self._ports,
            self.spawner,
            folder=data.folder,
            state=options.state,
            environ=os.environ,
            persist=options.persist,
        )
        self.applications: dict[str, Application] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for note in [*notes, *self.servers.notes]:
            self.say(note)

    @property
    def endpoints(self) -> Endpoints:
        return self.servers.endpoints

    def say(self, line: str) -> None:
        """One line of the stack itself."""
        self._logs.write("stack", line)

    async def start(self) -> None:
        """Bring everything up.

        Raises:
            StackError: something does not start; what did is still running.

        """
        self.timings = await run_steps(
            [
                *self.servers.steps(),
                Step("addresses", ("postgres", "temporal", "kafka", "sandbox"), self._write_addresses),
                *(
                    Step(
                        spec.name, _NEEDS_OF_WORKERS + _NEEDS_OF_DOORS * spec.speaks_kafka, partial(self._launch, spec)
                    )
                    for spec in applications(self._ports)
                ),
            ],
            lambda timing: self.say(f"{timing.name}: ready after {timing.began + timing.took:.1f} s"),
        )
        for service in self.servers.services.values():
            self._watch(service.keep_running() if self._options.persist else watch_server(service.process))
        for application in self.applications.values():
            self._watch(application.keep_running())
        self._watch(self.servers.follow_catalogue())

    async def _write_addresses(self) -> None:
        write_endpoints(self._options.state, self.endpoints)
        write_variables(self._options.state, self.servers.variables())

    async def _launch(self, spec: ApplicationSpec) -> None:
        environment = process_environment(self.servers.variables(), state=self._options.state)
        self.applications[spec.name] = Application(spec, self.spawner, env=environment)
        await self.applications[spec.name].start()

    def _watch(self, story: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(story)
        task.add_done_callback(self._on_end)
        self._watchers.append(task)

    def _on_end(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._over.done():
            self._over.set_exception(error)

    def print_links(self) -> None:
        self._console.print()
        self._console.print(links_table(self.endpoints))
        if self._options.timings:
            self._console.print(timings_table(self.timings))
        self._console.print("[dim]Ctrl-C stops everything[/dim]\n")

    async def wait(self) -> None:
        """Until `finish`.

        Raises:
            StackError: a server ended.

        """
        await self._over

    def finish(self) -> None:
        """Let `wait` return."""
        if not self._over.done():
            self._over.set_result(None)

    def kill(self) -> None:
        self.spawner.kill_all()

    async def stop(self) -> None:
        """Stop everything: first what uses the servers, then the servers, then what was just being started."""
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await self.servers.close()
        await asyncio.gather(*(application.take_down() for application in self.applications.values()))
        await self.spawner.stop_all()
        forget(self._options.state)
        self._logs.close()


@asynccontextmanager
async def running_stack(options: StackOptions, console: Console) -> AsyncIterator[Stack]:
    """A started stack, stopped at the end of the block, whatever happens in it.

    SIGINT, SIGTERM and SIGHUP end the start, or later `Stack.wait`; a second one kills.

    Raises:
        StackError: another stack runs, or something does not start.
        StackInterruptedError: a signal came while it started.

    """
    with hold_lock(options.state):
        async with open_data(options.state, persist=options.persist) as data:
            stack = Stack(options, console, data)
            starting = asyncio.create_task(stack.start())
            _on_signals(stack, starting)
            try:
                await starting
                yield stack
            except asyncio.CancelledError:
                if starting.cancelled():
                    raise StackInterruptedError from None
                raise
            finally:
                await stack.stop()


def _on_signals(stack: Stack, starting: "asyncio.Task[None]") -> None:
    asked = False

    def on_signal() -> None:
        nonlocal asked
        if asked:
            stack.say("killing everything")
            stack.kill()
            return
        asked = True
        stack.say("stopping (once more to kill)")
        starting.cancel()
        stack.finish()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
