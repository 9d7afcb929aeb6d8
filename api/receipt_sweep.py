"""Receipts that came before our own record: matched in the background, by every API process, each another part."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from api.collaborators import Workflows
from api.routes.webhooks import conclude
from notifications.receipts import Receipts

SWEEP_SECONDS = 5.0

log = structlog.get_logger()


@asynccontextmanager
async def sweeping(receipts: Receipts, workflows: Workflows, *, every: float = SWEEP_SECONDS) -> AsyncIterator[None]:
    """Match what waits, every few seconds until the end of the block."""
    task = asyncio.create_task(_sweep(receipts, workflows, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep(receipts: Receipts, workflows: Workflows, every: float) -> None:
    while True:
        try:
            for taken in await receipts.match_waiting():
                await conclude(taken, workflows)
        except Exception as error:  # noqa: BLE001 - the next round tries again, whatever it was
            log.warning("receipt.sweep_failed", error=type(error).__name__)
        await asyncio.sleep(every)
