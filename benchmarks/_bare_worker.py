"""A worker of the bare workflow: `python -m benchmarks._bare_worker workflows|activities HOST:PORT`.

It is set up as Tidings' own workers are, so that the difference is in what they are asked to do.
"""

import asyncio
import signal
import sys

import uvloop
from temporalio.client import Client
from temporalio.worker import Worker

from activities.temporal import DATA_CONVERTER
from benchmarks._bare import BARE_ACTIVITIES, BARE_WORKFLOWS, BareWorkflow, do_nothing
from worker.composition import MAX_WORKFLOW_TASKS, UNSANDBOXED


async def main(what: str, address: str) -> None:
    client = await Client.connect(address, data_converter=DATA_CONVERTER)
    if what == "workflows":
        worker = Worker(
            client,
            task_queue=BARE_WORKFLOWS,
            workflows=[BareWorkflow],
            workflow_runner=UNSANDBOXED,
            max_concurrent_workflow_tasks=MAX_WORKFLOW_TASKS,
        )
    else:
        worker = Worker(client, task_queue=BARE_ACTIVITIES, activities=[do_nothing])
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with worker:
        await stop.wait()
    await asyncio.sleep(0.1)  # the SDK's threads crash an interpreter that exits at once


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
