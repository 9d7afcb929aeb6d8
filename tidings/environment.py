"""A command that runs beside `make dev` works with that stack, without anything to source."""

import os
from pathlib import Path

from rich.console import Console

from devstack.state import STATE, read_variables


def use_running_stack(*, quiet: bool, state: Path = STATE) -> None:
    """Take the running stack's variables for those that are not set, and say so on stderr unless `quiet`."""
    taken = {name: value for name, value in read_variables(state).items() if name not in os.environ}
    os.environ.update(taken)
    if taken and not quiet:
        Console(stderr=True, highlight=False).print("[dim]using the running stack (.tidings/env)[/dim]")
