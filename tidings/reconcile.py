"""`python -m tidings reconcile`: create the Schedule that starts again what should be running."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from activities.temporal import RECONCILIATION, connect
from notifications.durations import parse_duration
from tidings.surroundings import CommandError, failing_in_one_line
from workflows.reconciliation import create_reconciliation


def reconcile(
    every: Annotated[str, typer.Option("--every", help="How often it looks: 1m, 5m, 1h.")] = "5m",
) -> None:
    """Create the Temporal Schedule of reconciliation, once per namespace; one that exists stays as it is."""
    with failing_in_one_line():
        interval: timedelta = parse_duration(every)
        if not interval:
            raise CommandError("--every must be longer than nothing, for example 5m")
        try:
            created = asyncio.run(_create(interval))
        except RuntimeError:
            raise CommandError("Temporal does not answer: run `python -m tidings doctor`") from None
    typer.echo(f"{RECONCILIATION}: {f'created, every {every}' if created else 'exists already'}")


async def _create(interval: timedelta) -> bool:
    return await create_reconciliation(await connect(), every=interval)
