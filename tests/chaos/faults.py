"""The faults by name. Each strikes, lasts, heals, and returns when the faulty part is back."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from activities.sending import CALL_SECONDS, CLAIM_TO_CALL_SECONDS, RECORD_SECONDS
from tests.chaos import kafka_faults, twins, vendor_faults
from tests.chaos.world import SESSION_SECONDS, World

Strike = Callable[[World, Random], Awaitable[None]]

_START_TO_CLOSE = CLAIM_TO_CALL_SECONDS + CALL_SECONDS + RECORD_SECONDS
_LONGEST_BACKOFF = 5.0
CHANNEL_WORKER = _START_TO_CLOSE + 5
ORCHESTRATOR = 25.0
BRIDGE = SESSION_SECONDS + 5.0
SERVER = _LONGEST_BACKOFF + 10
_PAUSE_SECONDS = 20.0
_OUTAGE_SECONDS = (3.0, 6.0)
_RECOVERY = {"bridge": BRIDGE, "channels": CHANNEL_WORKER, "bulk": CHANNEL_WORKER, "orchestrator": ORCHESTRATOR}
_WORKERS = ("orchestrator", "channels", "bulk")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """`recovery` is in seconds, from the moment the faulty part is back until all that was accepted before settled."""

    name: str
    strike: Strike
    recovery: float | None = None  # None: the issue is the vendor's, and its retries take what they take


async def _outage(random: Random) -> None:
    await asyncio.sleep(random.uniform(*_OUTAGE_SECONDS))


def _down(*names: str, kill: bool) -> Strike:
    """Ended by SIGKILL or SIGTERM, and started again."""

    async def strike(world: World, _random: Random) -> None:
        parts = [world.stack.applications[name] for name in names]
        await asyncio.gather(*(part.take_down(kill=kill) for part in parts))
        await asyncio.gather(*(part.bring_back() for part in parts))

    return strike


def _paused(name: str) -> Strike:
    """Stopped for so long that others take over, then it comes back as if nothing had happened."""

    async def strike(world: World, _random: Random) -> None:
        world.signal(name, signal.SIGSTOP)
        try:
            await asyncio.sleep(_PAUSE_SECONDS)
        finally:
            world.signal(name, signal.SIGCONT)

    return strike


def _server_down(name: str, *, kill: bool) -> Strike:
    async def strike(world: World, random: Random) -> None:
        await world.stack.servers.take_down(name, kill=kill)
        await _outage(random)
        await world.stack.servers.bring_back(name)

    return strike


async def _cut_connections(world: World, random: Random) -> None:
    """Every connection to Postgres, again and again."""
    for _ in range(5):
        await world.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        await asyncio.sleep(random.uniform(0.2, 1.0))


async def _bridge_killed_while_stalled(world: World, random: Random) -> None:
    """Without Postgres records are read and not stored: the bridge dies with them in its hands."""
    await world.stack.servers.take_down("postgres", kill=True)
    await _outage(random)
    await world.stack.applications["bridge"].take_down(kill=True)
    await world.stack.servers.bring_back("postgres")
    await world.stack.applications["bridge"].bring_back()


_PARTS = {"bridge": "bridge", "orchestrator": "orchestrator", "worker": "channels", "bulk": "bulk", "api": "api"}

FAULTS: tuple[Fault, ...] = (
    *(
        Fault(name=f"{short}-{how}", strike=_down(name, kill=how == "kill"), recovery=_RECOVERY.get(name, SERVER))
        for short, name in _PARTS.items()
        for how in ("kill", "term")
    ),
    *(
        Fault(name=f"{short}-pause", strike=_paused(name), recovery=_RECOVERY.get(name, SERVER))
        for short, name in _PARTS.items()
    ),
    Fault(name="all-workers-kill", strike=_down(*_WORKERS, kill=True), recovery=CHANNEL_WORKER),
    Fault(name="two-workers", strike=twins.same_message, recovery=CHANNEL_WORKER),
    Fault(name="bridge-stalled-kill", strike=_bridge_killed_while_stalled, recovery=BRIDGE),
    *(
        Fault(name=f"{name}-{how}", strike=_server_down(name, kill=how == "kill"), recovery=SERVER)
        for name in ("postgres", "temporal", "kafka")
        for how in ("stop", "kill")
    ),
    Fault(name="postgres-cut", strike=_cut_connections, recovery=SERVER),
    Fault(name="kafka-rebalance", strike=kafka_faults.rebalance, recovery=BRIDGE),
    Fault(name="kafka-session", strike=kafka_faults.session_lost, recovery=BRIDGE),
    Fault(name="kafka-redeliver", strike=kafka_faults.redeliver, recovery=BRIDGE),
    *(Fault(name=f"vendor-{name}", strike=strike) for name, strike in vendor_faults.STRIKES.items()),
)
