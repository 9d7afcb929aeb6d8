"""Write the rows of an import that has been uploaded, for as long as it takes.

The import's row says how far it is: this only sees to it that somebody goes on, whatever dies.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.imports import ImportActivities, ImportInput
    from notifications.imports.blocks import Progress
    from workflows.retries import OWN_SERVERS_RETRY

_START_TO_CLOSE = timedelta(minutes=10)  # it stops by itself before
_HEARTBEAT = timedelta(seconds=15)  # a block takes one, and three on a machine that is busy


@workflow.defn
class ImportWorkflow:
    @workflow.run
    async def run(self, wanted: ImportInput) -> Progress:
        while True:
            progress = await workflow.execute_activity_method(
                ImportActivities.import_rows,
                wanted,
                start_to_close_timeout=_START_TO_CLOSE,
                heartbeat_timeout=_HEARTBEAT,
                retry_policy=OWN_SERVERS_RETRY,
                summary="write rows",
            )
            workflow.set_current_details(f"{progress.rows:,} of {progress.total:,} rows")
            if progress.finished:
                return progress
