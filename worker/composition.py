"""The composition root of the workers: builds every collaborator by hand, once per process."""

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.planning import PlanningActivities
from activities.sending import SendingActivities
from notifications.addresses import require_hash_key
from notifications.catalogue.store import CatalogueStore
from notifications.contents import Contents
from notifications.database import Sessions, create_engine, create_sessions
from notifications.dead_addresses import DeadAddresses
from notifications.ledger import Ledger
from notifications.plans import Plans
from notifications.profiles.source import build_profile_source
from notifications.progress import Progress
from notifications.providers.base import Provider
from notifications.providers.registry import build_providers
from notifications.rendering.render import Renderer
from notifications.rerouting import Rerouting
from notifications.settings import Settings
from notifications.statuses import Channel
from worker.roles import Queue, Role, queues_of
from workflows.notification import NotificationWorkflow
from workflows.resend import ResendWorkflow

WORKFLOWS = (NotificationWorkflow, ResendWorkflow)
MAX_WORKFLOW_TASKS = 20  # more at once on one core trip the SDK's deadlock detector


@dataclass(frozen=True, slots=True)
class Collaborators:
    engine: AsyncEngine
    sessions: Sessions
    planning: PlanningActivities
    sending: SendingActivities


@asynccontextmanager
async def collaborators(
    settings: Settings, client: Client, channels: Iterable[Channel]
) -> AsyncIterator[Collaborators]:
    """Everything the activities need; closed at the end, the last connection last."""
    engine = create_engine(settings.database_url, pool_size=settings.database_pool_size)
    sessions = create_sessions(engine)
    profiles = build_profile_source(settings, sessions)
    providers = build_providers(settings, tuple(channels))
    try:
        hash_key = require_hash_key(settings.hash_key)
        catalogue = CatalogueStore(sessions)
        ledger = Ledger(sessions, process=uuid.uuid4().hex)
        contents = Contents(sessions, catalogue=catalogue, renderer=Renderer())
        yield Collaborators(
            engine=engine,
            sessions=sessions,
            planning=PlanningActivities(
                sessions,
                ledger=ledger,
                plans=Plans(sessions, profiles=profiles, catalogue=catalogue, settings=settings, hash_key=hash_key),
                progress=Progress(sessions),
                contents=contents,
                rerouting=Rerouting(sessions, catalogue=catalogue, hash_key=hash_key),
            ),
            sending=SendingActivities(
                ledger=ledger,
                contents=contents,
                providers=providers,
                dead_addresses=DeadAddresses(sessions, hash_key=hash_key),
                client=client,
            ),
        )
    finally:
        await _close(providers)
        await profiles.close()
        await engine.dispose()


async def _close(providers: Mapping[Channel, tuple[Provider, ...]]) -> None:
    for ordered in providers.values():
        for provider in ordered:
            await provider.close()


def build_workers(roles: Iterable[Role], settings: Settings, client: Client, built: Collaborators) -> list[Worker]:
    return [_worker(queue, settings, client, built) for role in roles for queue in queues_of(role)]


def channels_of(roles: Iterable[Role]) -> tuple[Channel, ...]:
    """The channels that these roles send on."""
    found = {queue.channel for role in roles for queue in queues_of(role) if queue.channel is not None}
    return tuple(channel for channel in Channel if channel in found)


def _worker(queue: Queue, settings: Settings, client: Client, built: Collaborators) -> Worker:
    slots = settings.worker_slots_bulk if queue.bulk else settings.worker_slots_urgent
    grace = timedelta(seconds=settings.shutdown_grace_seconds)
    if queue.channel is not None:
        return Worker(
            client,
            task_queue=queue.name,
            activities=[built.sending.send],
            max_concurrent_activities=slots,
            graceful_shutdown_timeout=grace,
        )
    planning = built.planning
    return Worker(
        client,
        task_queue=queue.name,
        workflows=WORKFLOWS,
        activities=[
            planning.plan,
            planning.look,
            planning.withdraw,
            planning.expire,
            planning.end_fallback,
            planning.retry_stuck,
            planning.skip_stuck,
            planning.reroute_stuck,
            planning.report_stuck,
            planning.finish,
        ],
        # Full restrictions cost twice the CPU of a workflow task; the tests run with them.
        workflow_runner=SandboxedWorkflowRunner(
            restrictions=SandboxRestrictions.default.with_passthrough_all_modules()
        ),
        max_concurrent_workflow_tasks=MAX_WORKFLOW_TASKS,
        max_concurrent_activities=slots,
        max_concurrent_local_activities=settings.database_pool_size * 2,
        graceful_shutdown_timeout=grace,
    )
