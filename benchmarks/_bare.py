"""The least that Temporal can be asked for: a workflow with one activity that does nothing."""

import time
from datetime import timedelta

from temporalio import activity, workflow

BARE_WORKFLOWS = "bare-workflows"
BARE_ACTIVITIES = "bare-activities"


@activity.defn
async def do_nothing() -> float:
    """The time, in seconds since the epoch."""
    return time.time()


@workflow.defn
class BareWorkflow:
    @workflow.run
    async def run(self) -> float:
        return await workflow.execute_activity(
            do_nothing, task_queue=BARE_ACTIVITIES, start_to_close_timeout=timedelta(seconds=30)
        )
