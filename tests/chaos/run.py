"""One run: load, fault, recovery, account."""

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.chaos.faults import Fault
from tests.chaos.load import flowing
from tests.chaos.oracle import Account, keep_history, last_of, settle_accounts, until_settled
from tests.chaos.world import World

_PATIENCE = timedelta(minutes=3)
_EVENTS_BEFORE = 12
_EVENTS_AFTER = 8


@dataclass(kw_only=True)
class Row:
    """`recovered` and `bound` in seconds; recovered None: not within three minutes."""

    fault: str
    seed: int
    account: Account
    recovered: float | None
    bound: float | None
    last: str  # the notification that settled last
    seconds: float  # the whole run

    @property
    def wrong(self) -> list[str]:
        late = []
        if self.recovered is None:
            late = [f"not settled within {_PATIENCE.seconds} s"]
        elif self.bound is not None and self.recovered > self.bound:
            late = [f"recovered after {self.recovered:.1f} s, allowed are {self.bound:g} s; last was {self.last}"]
        return self.account.wrong + late

    def document(self) -> dict[str, Any]:
        return asdict(self) | {"ok": not self.wrong}


async def play(world: World, fault: Fault, seed: int) -> Row:
    """Strike once, at a random moment that the seed decides, and wait until everything has settled."""
    random = Random(f"{fault.name}-{seed}")  # noqa: S311 - chance that can be repeated, not secrecy
    began = datetime.now(UTC)
    async with flowing(world, f"{fault.name}/{seed}/{began:%H%M%S}", random) as load:
        await load.grow_by(_EVENTS_BEFORE)
        await asyncio.sleep(random.uniform(0, 1))
        struck = datetime.now(UTC)
        await fault.strike(world, random)
        back = datetime.now(UTC)
        recovery = asyncio.create_task(until_settled(world, load.accepted_before(back), within=_PATIENCE))
        await load.grow_by(_EVENTS_AFTER)
    recovered = await recovery
    settled = await until_settled(world, load.accepted.keys(), within=_PATIENCE)
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
