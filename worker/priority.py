"""What is sent to many people gives way to what one person waits for, where both share a machine."""

import contextlib
import os
from pathlib import Path

BULK_NICENESS = 15
_AUTOGROUP = Path("/proc/self/autogroup")


def give_way() -> None:
    """Let other processes have the processor first; call it before there are threads, which keep what they began with.

    A Linux kernel with autogroups (sched(7)) weighs whole sessions against each other, and niceness only within one: a
    session of this process's own gets it too. In a container, or a service of systemd, its share of the CPU decides.
    """
    os.nice(BULK_NICENESS)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # no such file, or one that somebody has just written to: it works as well
            _AUTOGROUP.write_text(str(BULK_NICENESS), encoding="ascii")
