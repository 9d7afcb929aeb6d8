"""One run: load, fault, recovery, account."""

import asyncio
from datetime import UTC, datetime
from random import Random

from tests.chaos.faults import Fault
from tests.chaos.load import flowing
from tests.chaos.oracle import keep_history, last_of, settle_accounts, until_settled
from tests.chaos.row import PATIENCE, Row
from tests.chaos.world import World

_EVENTS_BEFORE = 12
_EVENTS_AFTER = 8


async def play_events(world: World, fault: Fault, seed: int) -> Row:
    """Strike once, at a random moment that the seed decides, and wait until everything has settled."""
    random = Random(f"{fault.name}-{seed}")  # noqa: S311 - chance that can be repeated, not secrecy
    began = datetime.now(UTC)
    async with flowing(world, f"{fault.name}/{seed}/{began:%H%M%S}", random) as load:
        await load.grow_by(_EVENTS_BEFORE)
        await asyncio.sleep(random.uniform(0, 1))
        struck = datetime.now(UTC)
        await fault.strike(world, random)
        back = datetime.now(UTC)
        recovery = asyncio.create_task(until_settled(world, load.accepted_before(back), within=PATIENCE))
        await load.grow_by(_EVENTS_AFTER)
    recovered = await recovery
    settled = await until_settled(world, load.accepted.keys(), within=PATIENCE)
    account = await settle_accounts(world, load, (struck, back), began)
    row = Row(
        fault=fault.name,
        seed=seed,
        account=account,
        recovered=(recovered - back).total_seconds() if recovered and settled else None,
        bound=fault.recovery,
        last=await last_of(world, load.accepted_before(back)),
        seconds=(datetime.now(UTC) - began).total_seconds(),
    )
    if row.wrong:
        await keep_history(world, row.last)
    return row
