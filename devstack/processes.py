"""One child process under a guardian, seen from the supervisor."""

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

GUARDIAN = Path(__file__).with_name("guardian.py")
Sink = Callable[[str, str], None]  # takes the name of a process and one line of its output


class StackError(Exception):
    """The stack cannot go on; the message is one line that says what happened and what to do."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run. Signals are sent to the process itself, `grace_seconds` apart, before SIGKILL to its group."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None  # None: ours
    cwd: Path | None = None
    user: str | None = None  # whom to run as; only root can
    stop_signals: tuple[str, ...] = ("TERM",)
    grace_seconds: float = 5.0
    remove: Path | None = None  # a folder that goes when the process is ended, even if we are killed


async def _stream(descriptor: int) -> asyncio.StreamReader:
    """The reading end of a pipe; closed at its end."""
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


class GuardedProcess:
    """Made by `Spawner.start`. `pid` is the command's own, not the guardian's."""

    def __init__(
        self,
        command: Command,
        guardian: asyncio.subprocess.Process,
        report: asyncio.StreamReader,
        pid: int,
        sink: Sink,
    ) -> None:
        self.name = command.name
        self.pid = pid
        self.tail: deque[str] = deque(maxlen=20)  # the last lines of its output, for a message when it ends
        self._guardian = guardian
        self._report = report
        self._sink = sink
        self._burial = asyncio.create_task(self._bury())
        self._output = asyncio.create_task(self._read_output())

    @classmethod
    async def start(cls, command: Command, sink: Sink, *, keep_open: Sequence[int] = ()) -> "GuardedProcess":
        """Start the guardian and the command; the guardian keeps the descriptors open until it ends.

        Raises:
            StackError: the command cannot be run.

        """
        reading, writing = os.pipe()
        spec = {
            "argv": [str(part) for part in command.argv],
            "user": command.user,
            "stop_signals": command.stop_signals,
            "grace_seconds": command.grace_seconds,
            "remove": str(command.remove) if command.remove else None,
            "report_fd": writing,
        }
        report = await _stream(reading)
        try:
            guardian = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(GUARDIAN), json.dumps(spec)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env=None if command.env is None else dict(command.env),  # uvloop takes no other mapping
                cwd=command.cwd,
                pass_fds=[writing, *keep_open],
                start_new_session=True,  # Ctrl-C goes to the supervisor alone, which stops things in order
            )
        finally:
            os.close(writing)
        process = cls(command, guardian, report, int(await report.readline() or 0), sink)
        if not process.pid:
            await process.wait()
            raise StackError(f"{command.name} cannot be started: {process.last_words()}")
        return process

    async def _bury(self) -> None:
        """Kill what a guardian that was itself killed left behind; it holds the pipes that `wait` waits for."""
        if not await self._report.read() and self.pid:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    async def _read_output(self) -> None:
        assert self._guardian.stdout is not None  # noqa: S101 - asked for above
        rest = b""
        while chunk := await self._guardian.stdout.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(line)
        if rest:
            self._take(rest)

    def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        self.tail.append(text)
        self._sink(self.name, text)

    @property
    def running(self) -> bool:
        return self._guardian.returncode is None

    def last_words(self) -> str:
        """The last line that it wrote, for a message."""
        return next((line for line in reversed(self.tail) if line.strip()), "it wrote nothing")

    async def wait(self) -> int:
        """The command's exit status (128 + n for signal n), once nothing of its group is left."""
        # Shielded: whoever stops waiting must not stop the burial, nor the reading.
        await asyncio.shield(self._burial)
        status = await self._guardian.wait()
        await asyncio.shield(self._output)
        return status

    async def stop(self) -> int:
        """Stop it politely within its bound; returns the exit status."""
        self._let_go(b"")
        return await self.wait()

    def kill(self) -> None:
        """SIGKILL to the whole group at once; `wait` tells when it is done."""
        self._let_go(b"K")

    def _let_go(self, order: bytes) -> None:
        lifeline = self._guardian.stdin
        if lifeline is not None and not lifeline.is_closing():
            with suppress(ConnectionError):
                lifeline.write(order)
            lifeline.close()


def kill_family(process: GuardedProcess) -> None:
    """SIGKILL to the command and all its descendants, also those that left its group, as PostgreSQL's do.

    It is stopped first: none of the family gets to do anything, nor to start another. `wait` tells when it is done.
    """
    import psutil  # noqa: PLC0415 - only where faults are injected

    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        parent.suspend()
        for each in (*parent.children(recursive=True), parent):
            with suppress(psutil.NoSuchProcess):
                each.kill()


class Spawner:
    """Starts processes and knows them all, so that none is forgotten when a start is cancelled half way.

    `keep_open`: see `GuardedProcess.start`.
    """

    def __init__(self, sink: Sink, *, keep_open: Sequence[int] = ()) -> None:
        self.say = sink
        self._keep_open = keep_open
        self._processes: list[GuardedProcess] = []

    async def start(self, command: Command) -> GuardedProcess:
        """As `GuardedProcess.start`."""
        process = await GuardedProcess.start(command, self.say, keep_open=self._keep_open)
        self._processes = [known for known in self._processes if known.running] + [process]
        return process

    async def stop_all(self) -> None:
        """Stop what still runs, all at the same time."""
        await asyncio.gather(*(process.stop() for process in self._processes))

    def kill_all(self) -> None:
        for process in self._processes:
            process.kill()
