"""`python -m tidings reconcile`: create the Schedule that starts again what should be running, or say what it did."""

import asyncio
from datetime import datetime, timedelta
from typing import Annotated

import typer

from activities.temporal import RECONCILIATION, connect
from notifications.durations import parse_duration
from tidings.surroundings import CommandError, failing_in_one_line
from workflows.reconciliation import ReconciliationResult, create_reconciliation, last_reconciliation


def reconcile(
    every: Annotated[str, typer.Option("--every", help="How often it looks: 1m, 5m, 1h.")] = "5m",
) -> None:
    """Create the Temporal Schedule of reconciliation, once per namespace; of one that exists, say what it did last."""
    with failing_in_one_line():
        interval: timedelta = parse_duration(every)
        if not interval:
            raise CommandError("--every must be longer than nothing, for example 5m")
        try:
            said = asyncio.run(_create(interval, every))
        except RuntimeError:
            raise CommandError("Temporal does not answer: run `python -m tidings doctor`") from None
    typer.echo(f"{RECONCILIATION}: {said}")


async def _create(interval: timedelta, every: str) -> str:
    client = await connect()
    if await create_reconciliation(client, every=interval):
        return f"created, every {every}"
    last = await last_reconciliation(client)
    return f"exists already; {_in_words(*last) if last else 'no run has completed yet'}"


def _in_words(began: datetime, result: ReconciliationResult) -> str:
    mended = ", ".join(f"{count} {kind}" for kind, count in result.started.items() if count)
    removed = ", ".join(f"{count} {kind}" for kind, count in result.removed.items() if count)
    return (
        f"the last run began {began:%Y-%m-%d %H:%M:%S} UTC, looked at {result.checked},"
        f" mended {mended or 'nothing'}, removed {removed or 'nothing'}"
    )
