"""An import goes on until its rows are written, whatever happens to the one who writes them."""

from temporalio.client import WorkflowExecutionDescription
from temporalio.exceptions import ApplicationError

from notifications.imports.blocks import Progress
from tests.support.workflow_world import World

LOST = ApplicationError("DatabaseUnavailable")
DONE = Progress(4_000, 4_000, finished=True)


async def test_it_asks_until_it_is_finished(world: World):
    handle = await world.start_import(Progress(2_000, 4_000, finished=False), LOST, DONE)
    assert await handle.result() == DONE


async def test_its_history_stays_small(world: World):
    """An hour of writing is 60 runs of the activity: some 400 events."""
    runs = [Progress(rows, 11, finished=False) for rows in range(10)]
    handle = await world.start_import(*runs, DONE)
    await handle.result()
    description: WorkflowExecutionDescription = await handle.describe()
    assert description.history_length < 7 * (len(runs) + 1)
