"""Run a command of `python -m tidings` in this process, in a thread, since it makes a loop of its own."""

import asyncio
from collections.abc import Mapping

from typer.testing import CliRunner, Result

from tidings.__main__ import command_line


async def run_command(*arguments: str, env: Mapping[str, str | None]) -> Result:
    """`env` is added to the environment; None removes a variable."""
    app = command_line(arguments)
    return await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=dict(env))
