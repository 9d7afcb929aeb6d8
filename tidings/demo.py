"""`python -m tidings demo`: the whole stack, real events through it, and what came of them."""

import asyncio
import sys
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

_INTERRUPTED = 130


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the scenes; the default without a terminal.")] = False,
) -> None:
    """Start the stack, send events of every kind, show what becomes of each, and check it against the inboxes.

    With a terminal it keeps running until Ctrl-C. Without one, or with --once, it writes .tidings/demo.json and ends
    with status 0, or 1 with the reason when anything is not as expected.
    """
    from devstack.processes import StackError
    from devstack.supervisor import StackInterruptedError
    from notifications.settings import SettingsError

    console = Console(highlight=False)
    stays = not once and sys.stdin.isatty() and sys.stdout.isatty()
    try:
        ok = asyncio.run(_run(console, stays=stays))
    except StackInterruptedError:
        raise typer.Exit(_INTERRUPTED) from None
    except (StackError, SettingsError) as error:
        Console(stderr=True).print(Text.assemble(("✗ ", "red"), str(error)), soft_wrap=True)
        raise typer.Exit(1) from None
    if not ok:
        raise typer.Exit(1)


async def _run(console: Console, *, stays: bool) -> bool:
    from devstack.applications import APPLICATION_NAMES
    from devstack.demo import report
    from devstack.demo.story import play
    from devstack.demo.world import open_world
    from devstack.state import STATE, read_variables
    from devstack.supervisor import SERVER_NAMES, StackOptions, running_stack

    options = StackOptions(quiet=(*SERVER_NAMES, *APPLICATION_NAMES, "catalogue"))
    async with running_stack(options, console) as stack:
        stack.print_links()
        begun = time.monotonic()

        def tell(scene: str, news: str) -> None:
            line = Text.assemble((f"{time.monotonic() - begun:6.1f} s ", "dim"), (f"{scene:<19}", "bold"), news)
            console.print(line, soft_wrap=True)

        async with open_world(stack.endpoints, read_variables(STATE)) as world:
            endings = await play(world, tell)
        report.show(console, endings)
        report.write(STATE / "demo.json", endings)
        ok = not any(ending.problems for ending in endings)
        if stays:
            report.show_what_to_try(console, stack.endpoints)
            await stack.wait()
        else:
            console.print(
                Text(".tidings/demo.json says it all" if ok else "not everything was as expected", style="bold")
            )
    return ok
