"""Two workers with the same message in their hands."""

import asyncio
import signal
from random import Random

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import WorkflowHandle

from tests.chaos.world import World
from workflows.reconciliation import ReconciliationWorkflow

_CALL_MS = 6000  # long enough that the other's call is still under way when the first one wakes up
_FROZEN_SECONDS = 3.0  # while its polls still take tasks


async def same_message(world: World, random: Random) -> None:
    """A worker freezes with tasks it took and did not begin. An operator terminates their workflows, reconciliation
    starts them again, another worker calls the provider, and the first one wakes up in the middle of that call.
    """
    frozen = world.stack.applications["channels"].process
    async with world.second("channels"):
        await world.fault(latency_ms=_CALL_MS)
        world.signal("channels", signal.SIGSTOP)
        try:
            await asyncio.sleep(_FROZEN_SECONDS + random.uniform(0, 2))
            for workflow in await _held_by(world, f"{frozen.pid}@"):
                await workflow.terminate("the harness took it from a frozen worker")
            await reconcile(world)
            await asyncio.sleep(random.uniform(1, 3))
        finally:
            world.signal("channels", signal.SIGCONT)
        await asyncio.sleep(_CALL_MS / 1000)
        await world.calm()
        await reconcile(world)


async def _held_by(world: World, identity: str) -> list[WorkflowHandle[object, object]]:
    """Workflows with a send that this worker took and whose row nobody claimed yet."""
    rows = await world.rows(
        "SELECT DISTINCT origin_id FROM messages WHERE status = 'pending' AND attempt = 0 AND stuck_reason IS NULL"
    )
    held = []
    for row in rows:
        handle = world.temporal.get_workflow_handle(f"notification-{row['origin_id']}")
        pending = (await handle.describe()).raw_description.pending_activities
        if any(
            each.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
            and each.last_worker_identity.startswith(identity)
            for each in pending
        ):
            held.append(handle)
    return held


async def reconcile(world: World) -> None:
    """As its Schedule does every few minutes."""
    await world.temporal.execute_workflow(
        ReconciliationWorkflow.run, id="reconciliation-of-the-harness", task_queue="orchestrator"
    )
