"""Workers with fake activities on Temporal's test server, for tests of whole workflows with skipped time."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.imports import ImportInput
from activities.temporal import ORCHESTRATOR_BULK, bulk_queue, campaign_resend_workflow_id, campaign_workflow_id
from notifications.imports.blocks import Progress
from notifications.statuses import Channel
from tests.support.campaign_resends import FakeResendActivities
from tests.support.campaign_workflows import FakeCampaign, FakeCampaignActivities
from tests.support.workflows import FakeActivities, FakeLedger
from worker.composition import WORKFLOWS
from workflows.campaign import CampaignInput, CampaignWorkflow
from workflows.campaign_resend import CampaignResendInput, CampaignResendWorkflow
from workflows.imports import ImportWorkflow
from workflows.notification import NotificationInput, NotificationWorkflow
from workflows.resend import ResendInput, ResendWorkflow

HOUR = timedelta(hours=1)
Handle = WorkflowHandle[Any, Any]


class World:
    """Workers with fake activities on Temporal's test server, and its clock.

    Each workflow task of a notification replays its history from the start, so that every test is one of determinism
    as well. A campaign has too many for that: its histories are replayed in tests/histories.
    """

    def __init__(self, environment: WorkflowEnvironment, workflows: Sequence[type], runner: WorkflowRunner) -> None:
        self.environment = environment
        self._workflows = workflows
        self._runner = runner
        self._activities = FakeActivities()
        self._campaigns = FakeCampaignActivities()
        self._resends = FakeResendActivities(self._activities.ledgers)
        self._queue = f"test-{uuid.uuid4()}"
        self._orchestrator: Worker | None = None

    async def start_workers(self, running: AsyncExitStack) -> None:
        for channel in Channel:
            worker = Worker(
                self.environment.client, task_queue=f"channel-{channel}", activities=[self._activities.send]
            )
            await running.enter_async_context(worker)
            bulk = Worker(
                self.environment.client,
                task_queue=bulk_queue(channel),
                activities=[self._campaigns.send_batch, self._activities.send],
            )
            await running.enter_async_context(bulk)
        campaigns = Worker(
            self.environment.client,
            task_queue=ORCHESTRATOR_BULK,
            workflows=self._workflows,
            activities=[*self._campaigns.steering, *self._resends.steering, self._campaigns.send_batch],
            workflow_runner=self._runner,
        )
        await running.enter_async_context(campaigns)
        await self.start_orchestrator()
        running.push_async_callback(self.stop_orchestrator)

    async def start_orchestrator(self) -> None:
        self._orchestrator = Worker(
            self.environment.client,
            task_queue=self._queue,
            workflows=self._workflows,
            activities=self._activities.planning,
            max_cached_workflows=0,
            workflow_runner=self._runner,
        )
        await self._orchestrator.__aenter__()

    async def stop_orchestrator(self) -> None:
        if self._orchestrator is not None:
            await self._orchestrator.__aexit__(None, None, None)
            self._orchestrator = None

    async def now(self) -> datetime:
        return await self.environment.get_current_time()

    async def ledger(self, *channels: Channel, **options: Any) -> FakeLedger:
        ledger = FakeLedger(*channels, now=await self.now(), clock=self.now, **options)
        self._activities.ledgers[ledger.id] = ledger
        return ledger

    async def start(self, ledger: FakeLedger) -> Handle:
        return await self.environment.client.start_workflow(
            NotificationWorkflow.run,
            NotificationInput(str(ledger.id)),
            id=f"notification-{ledger.id}",
            task_queue=self._queue,
            run_timeout=30 * 24 * HOUR,
        )

    async def resend(self, ledger: FakeLedger, round_number: int) -> Handle:
        return await self.environment.client.start_workflow(
            ResendWorkflow.run,
            ResendInput(str(ledger.id), 1, round_number),
            id=f"notification-{ledger.id}-resend-1-{round_number}",
            task_queue=self._queue,
            run_timeout=30 * 24 * HOUR,
        )

    async def campaign(self, *, ranges: int = 1, due_in: timedelta = timedelta()) -> FakeCampaign:
        campaign = FakeCampaign(ranges=ranges, starts_at=await self.now() + due_in)
        self._campaigns.campaigns[campaign.id] = campaign
        return campaign

    async def launch(self, campaign: FakeCampaign, *, round_number: int = 1) -> Handle:
        """Its result is waited for with skipped time, so it is started by a client of the test server's."""
        return await self.environment.client.start_workflow(
            CampaignWorkflow.run,
            CampaignInput(str(campaign.id), round_number),
            id=campaign_workflow_id(campaign.id, round_number),
            task_queue=ORCHESTRATOR_BULK,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            run_timeout=30 * 24 * HOUR,
        )

    async def resend_of_campaign(self, ledger: FakeLedger, round_number: int) -> Handle:
        """The ledger is that of a campaign that has completed."""
        return await self.environment.client.start_workflow(
            CampaignResendWorkflow.run,
            CampaignResendInput(str(ledger.id), 1, round_number),
            id=campaign_resend_workflow_id(ledger.id, 1, round_number),
            task_queue=ORCHESTRATOR_BULK,
            run_timeout=30 * 24 * HOUR,
        )

    async def start_import(self, *answers: Progress | ApplicationError) -> Handle:
        """`answers`: of each run of its activity."""
        import_id = str(uuid.uuid4())
        self._activities.imports[import_id] = list(answers)
        return await self.environment.client.start_workflow(
            ImportWorkflow.run, ImportInput(import_id), id=f"import-{import_id}", task_queue=self._queue
        )


@asynccontextmanager
async def running_world(
    environment: WorkflowEnvironment, workflows: Sequence[type] = WORKFLOWS, runner: WorkflowRunner | None = None
) -> AsyncIterator[World]:
    """In the sandbox, where no other runner is named."""
    world = World(environment, workflows, runner or SandboxedWorkflowRunner())
    async with AsyncExitStack() as running:
        await world.start_workers(running)
        yield world


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def until_gone_on(handle: Handle) -> None:
    """Until it runs as a new run."""
    async with asyncio.timeout(60):
        while (await handle.describe()).run_id == handle.first_execution_run_id:
            await asyncio.sleep(0.05)
