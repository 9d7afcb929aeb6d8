"""Several workers from one parent that has imported everything: they share the memory of what none of them changes.

The parent only starts, restarts and stops them. It forks before there is any thread, event loop or Temporal runtime,
and has none itself.
"""

import gc
import os
import select
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

import structlog

from notifications.settings import load_settings
from notifications.telemetry import configure_logging

FIRST_BREAK, LONGEST_BREAK = 0.5, 30.0  # seconds until a child that died is started again
STEADY_SECONDS = 30.0  # one that held out so long begins anew with the first break
_STOPPING = (signal.SIGTERM, signal.SIGINT)

log = structlog.get_logger()


# What a child would else import when it begins, each for itself.
_BEFOREHAND = ("uvloop", "sqlalchemy.dialects.postgresql.psycopg", "encodings.idna")


@dataclass(frozen=True, slots=True)
class Place:
    """Which child a process is, from 0; `lifeline` becomes readable when the parent has died."""

    number: int
    lifeline: int


@dataclass(slots=True)
class _Child:
    number: int
    pid: int | None = None
    begins_at: float = 0.0  # by `time.monotonic()`, while it does not run; then when it began
    deaths: int = 0  # in a row
    is_told: bool = False  # to stop


def run_family(count: int, work: Callable[[Place], int]) -> int:
    """`count` children that do `work`; see `Family`. Whatever they need is imported by now."""
    configure_logging("workers", load_settings().log_format)
    for name in _BEFOREHAND:
        import_module(name)
    return Family(count, work).run()


@dataclass
class Family:
    """`work` is the whole life of a child and gives its exit status, `os.EX_CONFIG` where no other try will help."""

    count: int
    work: Callable[[Place], int]
    first_break: float = FIRST_BREAK
    _children: dict[int, _Child] = field(default_factory=dict)  # by number
    _is_stopping: bool = False
    _status: int = 0

    def run(self) -> int:
        """Until SIGTERM or SIGINT, which the children are told, or until one of them cannot work as configured.

        Returns the exit status: 0 if all were told to stop and ended well.
        """
        lifeline, self._grip = os.pipe()
        self._lifeline = lifeline
        wakeup, self._bell = os.pipe()
        for end in (wakeup, self._bell):
            os.set_blocking(end, False)
        before = {number: signal.signal(number, self._note) for number in (*_STOPPING, signal.SIGCHLD)}
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        self._children = {number: _Child(number) for number in range(self.count)}
        gc.collect()
        gc.freeze()  # a collection would write into the pages of all that is shared
        try:
            while self._go_on():
                select.select([wakeup], [], [], self._next_start())
                _empty(wakeup)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            for end in (lifeline, self._grip, wakeup, self._bell):
                os.close(end)
        return self._status

    def _note(self, number: int, _frame: object) -> None:
        """That it came wakes the loop, which decides what to do about it."""
        if number != signal.SIGCHLD:
            self._is_stopping = True

    def _go_on(self) -> bool:
        self._bury()
        if self._is_stopping:
            self._tell_all()
            return any(child.pid for child in self._children.values())
        now = time.monotonic()
        for child in self._children.values():
            if child.pid is None and child.begins_at <= now:
                self._start(child)
        return True

    def _next_start(self) -> float | None:
        """Seconds until then; None: nobody waits."""
        if self._is_stopping:
            return None
        waiting = [child.begins_at for child in self._children.values() if child.pid is None]
        return max(min(waiting) - time.monotonic(), 0.0) if waiting else None

    def _tell_all(self) -> None:
        for child in self._children.values():
            if child.pid is not None and not child.is_told:
                os.kill(child.pid, signal.SIGTERM)  # not buried yet, so the number is still its own
                child.is_told = True

    def _bury(self) -> None:
        for child in self._children.values():
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                child.pid = None
                self._mourn(child, os.waitstatus_to_exitcode(status))

    def _mourn(self, child: _Child, status: int) -> None:
        if self._is_stopping or status == os.EX_CONFIG:
            self._is_stopping = True
            if status not in {0, -signal.SIGTERM}:  # the latter: told before it had begun anything
                self._status = 1
            return
        now = time.monotonic()
        child.deaths = 1 if now - child.begins_at >= STEADY_SECONDS else child.deaths + 1
        pause = min(self.first_break * 2 ** min(child.deaths - 1, 32), LONGEST_BREAK)
        child.begins_at = now + pause
        log.warning("worker.child_died", number=child.number, status=status, starts_again_seconds=pause)

    def _start(self, child: _Child) -> None:
        # A signal between the fork and the child's own handlers would be taken for one to the parent.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        child.begins_at = time.monotonic()
        child.pid = os.fork() or None
        if child.pid is None:
            self._live(child.number)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)

    def _live(self, number: int) -> None:
        """The child's side, which never returns: nothing of the parent's is cleaned up twice."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for each in (*_STOPPING, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            os.close(self._grip)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPPING)
            status = self.work(Place(number, self._lifeline))
        except BaseException:  # noqa: BLE001 - it has to end here, whatever it was
            traceback.print_exc()
        finally:
            os._exit(status)


def _empty(pipe: int) -> None:
    try:
        while os.read(pipe, 512):
            pass
    except BlockingIOError:
        pass
