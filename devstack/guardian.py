"""Run one command and end it, with all it started, when the process that asked for it is gone.

Started by path with the standard library only (`python -I -S guardian.py '{"argv": [...]}'`), so that it costs some
30 ms. It holds the reading end of a pipe as its standard input; the writing end belongs to the supervisor alone. The
pipe closes when the supervisor ends in whatever way, SIGKILL included, and on every system: Linux could do the same
with PR_SET_PDEATHSIG, macOS has no such thing.

    the pipe closes        the stop signals in order, each with its time, then SIGKILL to the group
    a `K` in the pipe      SIGKILL at once
    the command ends       SIGKILL to what is left of its group; exit with its status (128 + n for signal n)
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from typing import Any

_KILL_NOW = b"K"
_LIFELINE = 0
_CANNOT_START = 127
_ALL_GONE = b"."


def _signal_group(child: "subprocess.Popen[bytes]", number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def _wakeup_pipe() -> int:
    """A descriptor that becomes readable on the end of the child, or on a signal sent to the guardian itself."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def _wait(child: "subprocess.Popen[bytes]", wakeup: int) -> bytes | None:
    """Wait for the child to end (None) or for the order to end it: what came through the pipe."""
    while child.poll() is None:
        ready, _, _ = select.select([_LIFELINE, wakeup], [], [])
        if wakeup in ready and set(os.read(wakeup, 64)) != {int(signal.SIGCHLD)}:
            return b""
        if _LIFELINE in ready:
            return os.read(_LIFELINE, 1)
    return None


def _stop(child: "subprocess.Popen[bytes]", signals: list[str], grace_seconds: float) -> None:
    for name in signals:
        if child.poll() is None:
            child.send_signal(signal.Signals[f"SIG{name}"])
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(grace_seconds)


def main(spec: dict[str, Any]) -> int:
    """Run `spec`: argv, user (to run as, when root), stop_signals, grace_seconds, report_fd, remove.

    `remove` is a folder that goes when the command was told to end, not when it ended by itself. Into `report_fd` go
    the command's process id and, when nothing is left of its group, a dot: without it the supervisor has to clean up.
    """
    wakeup = _wakeup_pipe()
    identity = {"user": spec["user"], "extra_groups": []} if spec.get("user") else {}
    try:
        child = subprocess.Popen(spec["argv"], stdin=subprocess.DEVNULL, start_new_session=True, **identity)
    except OSError as error:
        print(f"{spec['argv'][0]}: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201 - its only voice
        return _CANNOT_START
    with contextlib.suppress(OSError):
        os.write(spec["report_fd"], b"%d\n" % child.pid)
    order = _wait(child, wakeup)
    if order not in {None, _KILL_NOW}:
        _stop(child, spec["stop_signals"], spec["grace_seconds"])
    _signal_group(child, signal.SIGKILL)
    status = child.wait()
    if order is not None and spec.get("remove"):
        import shutil  # noqa: PLC0415 - costs a third of the start

        shutil.rmtree(spec["remove"], ignore_errors=True)
    with contextlib.suppress(OSError):  # nobody may be left to read it
        os.write(spec["report_fd"], _ALL_GONE)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
