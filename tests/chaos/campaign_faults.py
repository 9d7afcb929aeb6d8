"""What is done to campaigns under way, by name."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.batches import BatchActivities
from activities.temporal import campaign_workflow_id, shard_workflow_id
from devstack.applications import Application
from notifications.campaigns.ranges import ANSWER_WINDOW
from notifications.queries.campaign_suspects import LEFT_ALONE
from notifications.statuses import CampaignState
from tests.chaos import twins, vendor_faults
from tests.chaos.campaign_load import Marketer, slow_snapshot
from tests.chaos.world import World
from workflows.retries import BATCH_HEARTBEAT, PREPARE_HEARTBEAT

Strike = Callable[[Marketer, Random], Awaitable[None]]

_ZOMBIE_SECONDS = 20.0
_OUTAGE_SECONDS = (3.0, 6.0)
_PAUSED_SECONDS = (3.0, 5.0)
_SLOW = 10.0  # messages a second
_BUSY = 30.0  # for what is left to send, on a machine that has other work
_LOOK = 30.0  # the longest that a workflow waits before it reads the ledger again
_LOST_ANSWERS = ANSWER_WINDOW.total_seconds() + BATCH_HEARTBEAT.total_seconds() + _BUSY
_SERVER = BATCH_HEARTBEAT.total_seconds() + _LOOK + _BUSY
_SNAPSHOT = PREPARE_HEARTBEAT.total_seconds() + _BUSY


async def _at_once(_marketer: Marketer) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class CampaignFault:
    """Strikes once `moment` has come. `recovery` is in seconds, from the return of the faulty part until both ended."""

    name: str
    strike: Strike
    recovery: float
    launch: Callable[[Marketer], Coroutine[Any, Any, None]] = Marketer.launch
    moment: Callable[[Marketer], Awaitable[bool]] = Marketer.is_sending
    stage: Callable[[World], AbstractAsyncContextManager[None]] = lambda _world: nullcontext()
    ends: CampaignState = CampaignState.COMPLETED
    per_second: float = 25.0  # of each campaign; slower where something of it shall be left at the end of the fault


async def _kill(marketer: Marketer, *processes: Application) -> None:
    await asyncio.gather(*(each.take_down(kill=True) for each in processes))
    marketer.down = datetime.now(UTC)
    await asyncio.gather(*(each.bring_back() for each in processes))


async def _kill_all(marketer: Marketer) -> None:
    """Every worker, those that have nothing to do with campaigns included."""
    others = [marketer.world.stack.applications[name] for name in ("orchestrator", "channels")]
    await _kill(marketer, *marketer.bulk, *others)


async def _one_killed(marketer: Marketer, _random: Random) -> None:
    await _kill(marketer, marketer.bulk[0])


async def _all_killed(marketer: Marketer, _random: Random) -> None:
    await _kill_all(marketer)


def _stopped(*, everyone: bool) -> Strike:
    """SIGSTOP for so long that another takes over, then it comes back as if nothing had happened."""

    async def strike(marketer: Marketer, _random: Random) -> None:
        frozen = [each.process.pid for each in marketer.bulk[: None if everyone else 1]]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        marketer.down = datetime.now(UTC)
        try:
            await asyncio.sleep(_ZOMBIE_SECONDS)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)

    return strike


def _server_down(name: str, *, kill: bool) -> Strike:
    async def strike(marketer: Marketer, random: Random) -> None:
        servers = marketer.world.stack.servers
        await servers.take_down(name, kill=kill)
        await asyncio.sleep(random.uniform(*_OUTAGE_SECONDS))
        await servers.bring_back(name)

    return strike


async def _two_tries(marketer: Marketer, random: Random) -> None:
    """Temporal believes that tries at ranges have failed which go on: the next ones begin beside them."""
    for _ in range(3):
        for campaign in marketer.ids:
            shard = marketer.world.temporal.get_workflow_handle(shard_workflow_id(campaign, 1, 1))
            described = await shard.describe()
            for each in described.raw_description.pending_activities:
                if each.activity_type.name == BatchActivities.send_batch.__name__:
                    handle = marketer.world.temporal.get_async_activity_handle(
                        workflow_id=described.id, run_id=described.run_id, activity_id=each.activity_id
                    )
                    with contextlib.suppress(RPCError):  # it has just ended
                        await handle.fail(ApplicationError("the harness says that it failed"))
        await asyncio.sleep(random.uniform(1, 2))


async def _shards_terminated(marketer: Marketer, _random: Random) -> None:
    """As somebody in the Temporal UI may do; their batches hear of it with their next heartbeat."""
    for campaign in marketer.ids:
        shard = marketer.world.temporal.get_workflow_handle(shard_workflow_id(campaign, 1, 1))
        with contextlib.suppress(RPCError):  # it has just ended
            await shard.terminate("the harness")


async def _workflows_terminated(marketer: Marketer, _random: Random) -> None:
    """With their shards, as somebody in the Temporal UI may do; reconciliation starts them again."""
    for campaign in marketer.ids:
        handle = marketer.world.temporal.get_workflow_handle(campaign_workflow_id(campaign, 1))
        with contextlib.suppress(RPCError):  # it has just ended
            await handle.terminate("the harness")
    await asyncio.sleep(LEFT_ALONE.total_seconds() + 1)
    await twins.reconcile(marketer.world)


async def _bridge_killed(marketer: Marketer, _random: Random) -> None:
    """While it has the launches in its hands."""
    await _kill(marketer, marketer.world.stack.applications["bridge"])


async def _api_killed(marketer: Marketer, _random: Random) -> None:
    """While the launches are on their way; the client asks again until it is answered."""
    await _kill(marketer, marketer.world.stack.applications["api"])


async def _killed_while_pausing(marketer: Marketer, random: Random) -> None:
    await marketer.steer("pause")
    await asyncio.sleep(random.uniform(0, 1.5))
    await _kill_all(marketer)
    await asyncio.sleep(random.uniform(*_PAUSED_SECONDS))
    await marketer.steer("resume")


async def _killed_while_cancelling(marketer: Marketer, random: Random) -> None:
    cancelling = asyncio.create_task(marketer.steer("cancel"))
    await asyncio.sleep(random.uniform(0, 0.3))
    await _kill_all(marketer)
    await cancelling


def _vendor(name: str) -> Strike:
    async def strike(marketer: Marketer, random: Random) -> None:
        await vendor_faults.STRIKES[name](marketer.world, random)

    return strike


_VENDOR = 20.0 + 2 * 60.0 + _BUSY  # a call that hangs, and two of the longest breaks

CAMPAIGN_FAULTS: tuple[CampaignFault, ...] = (
    CampaignFault(name="campaign-worker-kill", strike=_one_killed, recovery=_LOST_ANSWERS),
    CampaignFault(name="campaign-workers-kill", strike=_all_killed, recovery=_LOST_ANSWERS),
    CampaignFault(
        name="campaign-worker-pause", strike=_stopped(everyone=False), recovery=_LOST_ANSWERS, per_second=_SLOW
    ),
    CampaignFault(name="campaign-workers-pause", strike=_stopped(everyone=True), recovery=_LOST_ANSWERS),
    CampaignFault(name="campaign-two-tries", strike=_two_tries, recovery=_LOST_ANSWERS),
    CampaignFault(name="campaign-shard-terminate", strike=_shards_terminated, recovery=_LOST_ANSWERS, per_second=_SLOW),
    *(
        CampaignFault(
            name=f"campaign-{name}-{how}",
            strike=_server_down(name, kill=how == "kill"),
            recovery=_LOST_ANSWERS if name == "temporal" else _SERVER,
            per_second=_SLOW if name == "temporal" else 25.0,
        )
        for name in ("postgres", "temporal")
        for how in ("stop", "kill")
    ),
    CampaignFault(name="campaign-terminate", strike=_workflows_terminated, recovery=_LOST_ANSWERS, per_second=_SLOW),
    CampaignFault(
        name="campaign-launch-bridge-kill",
        strike=_bridge_killed,
        recovery=_SERVER,
        launch=Marketer.launch_by_event,
        moment=_at_once,
    ),
    CampaignFault(name="campaign-launch-api-kill", strike=_api_killed, recovery=_SERVER, moment=_at_once),
    *(
        CampaignFault(
            name=f"campaign-preparing-{name}",
            strike=strike,
            recovery=_SNAPSHOT,
            moment=Marketer.is_preparing,
            stage=slow_snapshot,
        )
        for name, strike in (("kill", _all_killed), ("postgres-kill", _server_down("postgres", kill=True)))
    ),
    CampaignFault(name="campaign-pausing-kill", strike=_killed_while_pausing, recovery=_LOST_ANSWERS),
    CampaignFault(
        name="campaign-cancelling-kill",
        strike=_killed_while_cancelling,
        recovery=_LOST_ANSWERS,
        ends=CampaignState.CANCELLED,
    ),
    *(
        CampaignFault(name=f"campaign-vendor-{name}", strike=_vendor(name), recovery=_VENDOR)
        for name in ("hang", "hang-accepted", "reset-accepted", "5xx", "429")
    ),
)
