"""Commands on a real Temporal server; the workflow is the real one, its activities are fakes."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from api.collaborators import (
    CommandName,
    CommandRefusedError,
    MessageCommand,
    NoWorkerError,
    WorkflowGoneError,
    WorkflowsUnavailableError,
)
from api.temporal_workflows import TemporalWorkflows
from notifications.statuses import Channel, NotificationType
from tests.support.workflows import FakeActivities, FakeLedger, accepted, stuck
from workflows.notification import NotificationInput, NotificationWorkflow

RETRY = MessageCommand(CommandName.RETRY, 1)


async def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def workflows(temporal_client: Client) -> TemporalWorkflows:
    return TemporalWorkflows(temporal_client)


@pytest.fixture
async def ledger(temporal_client: Client) -> AsyncIterator[FakeLedger]:
    """A notification whose one message gets stuck, and is accepted when it is tried again."""
    activities = FakeActivities()
    ledger = FakeLedger(Channel.EMAIL, now=await _now(), clock=_now)
    activities.ledgers[ledger.id] = ledger
    ledger.answers[Channel.EMAIL] = [stuck(), accepted(2)]
    queue = f"test-{uuid.uuid4()}"
    async with AsyncExitStack() as stack:
        orchestrator = Worker(
            temporal_client, task_queue=queue, workflows=[NotificationWorkflow], activities=activities.planning
        )
        await stack.enter_async_context(orchestrator)
        for channel in ("channel-email", "channel-sms", "channel-whatsapp"):
            worker = Worker(temporal_client, task_queue=channel, activities=[activities.send])
            await stack.enter_async_context(worker)
        handle = await temporal_client.start_workflow(
            NotificationWorkflow.run,
            NotificationInput(str(ledger.id)),
            id=f"notification-{ledger.id}",
            task_queue=queue,
        )
        async with asyncio.timeout(30):
            while "report_stuck" not in ledger.calls:
                await asyncio.sleep(0.02)
        yield ledger
        if (await handle.describe()).close_time is None:
            await handle.terminate()


async def _ended(client: Client, ledger: FakeLedger) -> str:
    async with asyncio.timeout(30):
        result: str = await client.get_workflow_handle(f"notification-{ledger.id}").result()
    return result


async def test_retry_delivers(temporal_client: Client, workflows: TemporalWorkflows, ledger: FakeLedger) -> None:
    outcome = await workflows.command(ledger.id, RETRY)
    assert (outcome.seq, outcome.status, outcome.round) == (1, "pending", 2)
    assert await _ended(temporal_client, ledger) == "done"


async def test_skip_gives_up(temporal_client: Client, workflows: TemporalWorkflows, ledger: FakeLedger) -> None:
    outcome = await workflows.command(ledger.id, MessageCommand(CommandName.SKIP, 1))
    assert outcome.status == "skipped"
    assert await _ended(temporal_client, ledger) == "skipped"


async def test_reroute_answers_with_the_new_message(workflows: TemporalWorkflows, ledger: FakeLedger) -> None:
    outcome = await workflows.command(ledger.id, MessageCommand(CommandName.REROUTE, 1, Channel.SMS))
    assert outcome.seq == 2


async def test_a_message_that_is_not_stuck_is_refused(workflows: TemporalWorkflows, ledger: FakeLedger) -> None:
    with pytest.raises(CommandRefusedError, match="message 7 is not stuck now"):
        await workflows.command(ledger.id, MessageCommand(CommandName.RETRY, 7))


async def test_what_the_ledger_refuses_is_told(workflows: TemporalWorkflows, ledger: FakeLedger) -> None:
    with pytest.raises(CommandRefusedError, match="not on whatsapp: no_address"):
        await workflows.command(ledger.id, MessageCommand(CommandName.REROUTE, 1, Channel.WHATSAPP))


async def test_cancel_wakes(temporal_client: Client, workflows: TemporalWorkflows, ledger: FakeLedger) -> None:
    ledger.cancel()
    await workflows.wake(ledger.id, "cancel")
    assert await _ended(temporal_client, ledger) == "cancelled"


async def test_without_a_workflow(workflows: TemporalWorkflows) -> None:
    with pytest.raises(WorkflowGoneError):
        await workflows.command(uuid.uuid4(), RETRY)
    with pytest.raises(WorkflowGoneError):
        await workflows.wake(uuid.uuid4(), "cancel")


async def test_without_a_worker(temporal_client: Client) -> None:
    notification_id = uuid.uuid4()
    handle = await temporal_client.start_workflow(
        NotificationWorkflow.run,
        NotificationInput(str(notification_id)),
        id=f"notification-{notification_id}",
        task_queue=f"nobody-{notification_id}",
    )
    with pytest.raises(NoWorkerError):
        await TemporalWorkflows(temporal_client, answer_within=timedelta(seconds=0.5)).command(notification_id, RETRY)
    await handle.terminate()


async def test_a_resend_is_started_once(temporal_client: Client, workflows: TemporalWorkflows) -> None:
    notification_id = uuid.uuid4()
    for _ in range(2):
        await workflows.resend(notification_id, NotificationType.TRANSACTIONAL, seq=1, round_number=2)
    handle = temporal_client.get_workflow_handle(f"notification-{notification_id}-resend-1-2")
    found = await handle.describe()
    assert (found.workflow_type, found.task_queue) == ("ResendWorkflow", "orchestrator")
    await handle.terminate()
    await workflows.resend(notification_id, NotificationType.TRANSACTIONAL, seq=1, round_number=2)
    assert (await handle.describe()).run_id == found.run_id, "one that has ended is not started again"


async def test_it_serves(workflows: TemporalWorkflows) -> None:
    assert await workflows.check() == "serving namespace default"


async def test_without_a_server() -> None:
    client = await Client.connect("127.0.0.1:9", lazy=True)
    lonely = TemporalWorkflows(client, answer_within=timedelta(seconds=0.5))
    with pytest.raises(WorkflowsUnavailableError):
        await lonely.check()
    with pytest.raises(WorkflowsUnavailableError):
        await lonely.wake(uuid.uuid4(), "cancel")
    with pytest.raises(WorkflowsUnavailableError):
        await lonely.command(uuid.uuid4(), RETRY)
    with pytest.raises(WorkflowsUnavailableError):
        await lonely.resend(uuid.uuid4(), NotificationType.ALERT, seq=1, round_number=2)
