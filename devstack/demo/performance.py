"""The demo from the first server to the last line of the report."""

import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from devstack.applications import APPLICATION_NAMES
from devstack.demo import report
from devstack.demo.story import Ending, play
from devstack.demo.world import open_world
from devstack.state import STATE, read_variables
from devstack.supervisor import SERVER_NAMES, StackOptions, running_stack

REPORT = "demo.json"


async def perform(console: Console, *, stays: bool, state: Path = STATE) -> list[Ending]:
    """Start the stack, play the scenes, report; with `stays` keep running until it is told to stop.

    Raises:
        StackError: the stack does not start, or a server ended.
        StackInterruptedError: a signal came while it started.

    """
    options = StackOptions(state=state, quiet=(*SERVER_NAMES, *APPLICATION_NAMES, "catalogue"))
    async with running_stack(options, console) as stack:
        stack.print_links()
        begun = time.monotonic()

        def tell(scene: str, news: str) -> None:
            line = Text.assemble((f"{time.monotonic() - begun:6.1f} s ", "dim"), (f"{scene:<19}", "bold"), news)
            console.print(line, soft_wrap=True)

        async with open_world(stack.endpoints, read_variables(state)) as world:
            endings = await play(world, tell)
        report.show(console, endings)
        report.write(state / REPORT, report.document(endings))
        if stays:
            report.show_what_to_try(console, stack.endpoints)
            await stack.wait()
    return endings
