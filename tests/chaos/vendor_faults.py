"""What a provider can do to us: every vendor at the same time, for some seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from tests.chaos.world import World

_SECONDS = (4.0, 8.0)


def _struck(**knobs: Any) -> Callable[[World, Random], Awaitable[None]]:
    async def strike(world: World, random: Random) -> None:
        await world.fault(**knobs)
        await asyncio.sleep(random.uniform(*_SECONDS))
        await world.calm()

    return strike


STRIKES = {
    "hang": _struck(hang="before"),
    "hang-accepted": _struck(hang="after"),
    "reset": _struck(reset="before"),
    "reset-accepted": _struck(reset="after"),
    "5xx": _struck(error={}),  # each vendor's own: 503, SMTP's 451
    "429": _struck(throttle={"retry_after": 2}),
    "rubbish": _struck(rubbish="after"),
    "slow": _struck(trickle_ms=40),
}
