"""`python -m tidings dev`: the whole stack on this machine until Ctrl-C."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

_INTERRUPTED = 130


def dev(
    timings: Annotated[bool, typer.Option("--timings", help="Show where the start-up time went.")] = False,
    persist: Annotated[
        bool, typer.Option("--persist", help="Keep the servers' data in .tidings/data/ for the next start.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the output of the servers as well.")] = False,
) -> None:
    """Start the servers, the sandbox, the API, the bridge and the workers; Ctrl-C stops everything."""
    from devstack.state import STATE
    from devstack.variables import keep_compiled_code

    keep_compiled_code(STATE)
    from devstack.processes import StackError
    from devstack.supervisor import SERVER_NAMES, StackInterruptedError, StackOptions, running_stack
    from notifications.settings import SettingsError

    console = Console()
    options = StackOptions(timings=timings, persist=persist, quiet=() if verbose else SERVER_NAMES)

    async def run() -> None:
        async with running_stack(options, console) as stack:
            stack.print_links()
            await stack.wait()

    try:
        asyncio.run(run())
    except StackInterruptedError:
        raise typer.Exit(_INTERRUPTED) from None
    except (StackError, SettingsError) as error:
        message = str(error)
    else:
        return
    Console(stderr=True).print(Text.assemble(("✗ ", "red"), message), soft_wrap=True)
    raise typer.Exit(1)
