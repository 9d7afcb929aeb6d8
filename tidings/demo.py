"""`python -m tidings demo`: the whole stack, real events through it, and what came of them."""

import asyncio
import sys
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
    from devstack.demo.performance import perform
    from devstack.processes import StackError
    from devstack.supervisor import StackInterruptedError
    from notifications.settings import SettingsError

    stays = not once and sys.stdin.isatty() and sys.stdout.isatty()
    try:
        endings = asyncio.run(perform(Console(highlight=False), stays=stays))
    except StackInterruptedError:
        raise typer.Exit(_INTERRUPTED) from None
    except (StackError, SettingsError) as error:
        _complain(str(error))
        raise typer.Exit(1) from None
    problems = [f"{ending.scene.name}: {problem}" for ending in endings for problem in ending.problems]
    if problems:
        _complain("not everything was as expected: " + "; ".join(problems))
        raise typer.Exit(1)
    if not stays:
        typer.echo("Everything was as expected; .tidings/demo.json has the details.")


def _complain(message: str) -> None:
    Console(stderr=True).print(Text.assemble(("✗ ", "red"), message), soft_wrap=True)
