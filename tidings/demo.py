"""`python -m tidings demo`: the whole stack, real events through it, and what came of them."""

import asyncio
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.text import Text

_INTERRUPTED = 130
Played = TypeVar("Played")


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the scenes; the default without a terminal.")] = False,
    plug: Annotated[
        bool, typer.Option("--pull-the-plug", help="Kill all workers and Temporal in the middle, and count.")
    ] = False,
    events: Annotated[int, typer.Option(min=6, max=450, help="How many events, with --pull-the-plug.")] = 300,
) -> None:
    """Start the stack, send events of every kind, show what becomes of each, and check it against the inboxes.

    Then a campaign to 5,000 people is paused, its workers are killed and started again, it is resumed, and its account
    is compared with what the mail server counted.

    With a terminal it keeps running until Ctrl-C. Without one, or with --once, it writes .tidings/demo.json and ends
    with status 0, or 1 with the reason when anything is not as expected.

    With --pull-the-plug it kills the workers, the bridge and Temporal in the middle of many events instead, starts them
    again, and compares what the inbox counted with the ledger: .tidings/pull-the-plug.json.
    """
    if plug:
        _pull_the_plug(events)
        return
    from devstack.demo.performance import perform

    stays = not once and sys.stdin.isatty() and sys.stdout.isatty()
    played = _run(perform(Console(highlight=False), stays=stays))
    if played.problems:
        _complain("not everything was as expected: " + "; ".join(played.problems))
        raise typer.Exit(1)
    if not stays:
        typer.echo("Everything was as expected; .tidings/demo.json has the details.")


def _pull_the_plug(events: int) -> None:
    from devstack.demo.plug import pull_the_plug

    account = _run(pull_the_plug(Console(highlight=False), events=events))
    if account.problems:
        _complain("the account does not add up: " + "; ".join(account.problems))
        raise typer.Exit(1)
    typer.echo("Nothing was lost, and nothing came twice but what was in flight; see .tidings/pull-the-plug.json.")


def _run(story: Coroutine[Any, Any, Played]) -> Played:
    from devstack.processes import StackError
    from devstack.supervisor import StackInterruptedError
    from notifications.settings import SettingsError

    try:
        return asyncio.run(story)
    except StackInterruptedError:
        raise typer.Exit(_INTERRUPTED) from None
    except (StackError, SettingsError) as error:
        _complain(str(error))
        raise typer.Exit(1) from None


def _complain(message: str) -> None:
    Console(stderr=True).print(Text.assemble(("✗ ", "red"), message), soft_wrap=True)
