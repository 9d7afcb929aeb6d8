"""The composition root of the workers: builds every collaborator by hand, once per process."""

import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.service import RetryConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from activities.batches import BatchActivities
from activities.campaign_reconciliation import CampaignReconciliation
from activities.campaign_resends import CampaignResendActivities
from activities.campaigns import CampaignActivities
from activities.imports import ImportActivities
from activities.lanes import Tools
from activities.planning import PlanningActivities
from activities.reconciliation import ReconciliationActivities
from activities.retention import RetentionActivities
from activities.sending import SendingActivities
from activities.slots import Slots
from notifications.addresses import require_hash_key
from notifications.breaker import Breaker
from notifications.campaigns.contents import CampaignContents, ContentsByOrigin
from notifications.campaigns.progress import CampaignProgress
from notifications.campaigns.ranges import RangeLedger
from notifications.campaigns.resends import Resends
from notifications.campaigns.rounds import Rounds
from notifications.campaigns.settling import Settling
from notifications.campaigns.snapshot import Snapshot
from notifications.campaigns.watch import Watches
from notifications.catalogue.store import CatalogueStore
from notifications.contents import Contents
from notifications.database import create_engine, create_sessions
from notifications.dead_addresses import DeadAddresses
from notifications.imports.blocks import ImportBlocks
from notifications.ledger import Ledger
from notifications.plans import Plans
from notifications.profiles.profile import ProfileSource
from notifications.profiles.source import build_profile_source
from notifications.progress import Progress
from notifications.providers.base import Provider
from notifications.providers.counted import CountedProvider
from notifications.providers.registry import build_providers
from notifications.queries.campaign_suspects import CampaignSuspects
from notifications.queries.reconciliation import ReconciliationStore
from notifications.rates import ProviderRates, Rates
from notifications.rendering.render import Renderer
from notifications.rerouting import Rerouting
from notifications.retention import Retention
from notifications.settings import Settings
from notifications.statuses import Channel
from notifications.unsubscribe import UnsubscribeLinks
from worker.roles import Queue, Role, queues_of
from workflows.campaign import CampaignWorkflow
from workflows.campaign_resend import CampaignResendWorkflow
from workflows.imports import ImportWorkflow
from workflows.notification import NotificationWorkflow
from workflows.reconciliation import ReconciliationWorkflow
from workflows.resend import ResendWorkflow
from workflows.shard import ShardWorkflow

WORKFLOWS = (
    CampaignResendWorkflow,
    CampaignWorkflow,
    ImportWorkflow,
    NotificationWorkflow,
    ReconciliationWorkflow,
    ResendWorkflow,
    ShardWorkflow,
)
# The sandbox costs as much CPU as the rest of a workflow task, a light one still half of that; the tests run with it
# (ADR 26).
UNSANDBOXED = UnsandboxedWorkflowRunner()
# More at once are no faster on one core: their local activities would wait for CPU and connections until their time is
# over, and be done again.
MAX_WORKFLOW_TASKS = 10
# Offers are never in a hurry: few of their workflow tasks at once keep the servers free for those of urgent ones.
MAX_BULK_WORKFLOW_TASKS = 4
# An answer that is given up is waited for until the activity's time is over (30 s): a restart of Temporal would cost
# that. So it is offered for as long as somebody may still be waiting.
OFFER_ANSWERS = RetryConfig(max_interval_millis=2_000, max_elapsed_time_millis=30_000, max_retries=100)


@dataclass(frozen=True, slots=True)
class Collaborators:
    engine: AsyncEngine
    imports: ImportActivities
    planning: PlanningActivities
    reconciliation: ReconciliationActivities
    retention: RetentionActivities
    sending: SendingActivities
    campaigns: CampaignActivities
    campaign_reconciliation: CampaignReconciliation
    campaign_resends: CampaignResendActivities
    batches: BatchActivities
    provider_rates: ProviderRates


@asynccontextmanager
async def collaborators(
    settings: Settings, client: Client, channels: Iterable[Channel]
) -> AsyncIterator[Collaborators]:
    """Everything the activities need; closed at the end, the last connection last."""
    async with AsyncExitStack() as closing:
        engine = create_engine(settings.database_url, pool_size=settings.database_pool_size)
        closing.push_async_callback(engine.dispose)
        sessions = create_sessions(engine)
        profiles = build_profile_source(settings, sessions)
        closing.push_async_callback(profiles.close)
        providers = build_providers(settings, tuple(channels))
        for provider in (each for ordered in providers.values() for each in ordered):
            closing.push_async_callback(provider.close)
        built = assemble(settings, client, engine, profiles=profiles, providers=providers)
        closing.push_async_callback(built.provider_rates.close)
        yield built


def assemble(
    settings: Settings,
    client: Client,
    engine: AsyncEngine,
    *,
    profiles: ProfileSource,
    providers: Mapping[Channel, Sequence[Provider]],
) -> Collaborators:
    """Put the activities together from what has to be closed at the end."""
    hash_key = require_hash_key(settings.hash_key)
    sessions = create_sessions(engine)
    catalogue = CatalogueStore(sessions)
    process = uuid.uuid4().hex
    ledger = Ledger(sessions, process=process)
    breaker = Breaker(sessions)
    dead_addresses = DeadAddresses(sessions, hash_key=hash_key)
    renderer = Renderer()
    progress = Progress(sessions)
    links = UnsubscribeLinks.of(settings, hash_key)
    rates = Rates(sessions)
    provider_rates = ProviderRates(rates, settings.provider_rates)
    contents = Contents(sessions, catalogue=catalogue, renderer=renderer, links=links)
    campaign_contents = CampaignContents(sessions, catalogue=catalogue, renderer=renderer, links=links)
    return Collaborators(
        engine=engine,
        imports=ImportActivities(ImportBlocks(sessions, catalogue, hash_key=hash_key), client),
        reconciliation=ReconciliationActivities(
            ReconciliationStore(sessions), client, ledger=ledger, progress=progress, public_url=settings.public_url
        ),
        retention=RetentionActivities(Retention(sessions, settings.retention)),
        planning=PlanningActivities(
            sessions,
            ledger=ledger,
            plans=Plans(sessions, profiles=profiles, catalogue=catalogue, settings=settings, hash_key=hash_key),
            progress=progress,
            contents=contents,
            rerouting=Rerouting(sessions, catalogue=catalogue, hash_key=hash_key),
        ),
        sending=SendingActivities(
            ledger=ledger,
            contents=ContentsByOrigin(contents, campaign_contents),
            providers={
                channel: tuple(CountedProvider(each, provider_rates.count_single) for each in ordered)
                for channel, ordered in providers.items()
            },
            dead_addresses=dead_addresses,
            breaker=breaker,
            client=client,
        ),
        campaigns=CampaignActivities(
            CampaignProgress(sessions), Snapshot(sessions, hash_key=hash_key), Rounds(sessions), Settling(sessions)
        ),
        campaign_reconciliation=CampaignReconciliation(CampaignSuspects(sessions), client),
        campaign_resends=CampaignResendActivities(Resends(sessions), client),
        batches=BatchActivities(
            contents=campaign_contents,
            providers=providers,
            watches=Watches(sessions),
            tools=Tools(
                ranges=RangeLedger(sessions, process=process),
                ledger=ledger,
                rates=rates,
                breaker=breaker,
                dead_addresses=dead_addresses,
                slots={channel: Slots(_calls(channel, settings)) for channel in providers},
                provider_rates=provider_rates,
            ),
        ),
        provider_rates=provider_rates,
    )


def _calls(channel: Channel, settings: Settings) -> int:
    """For campaigns at once: half of the connections, where they are counted."""
    if channel is Channel.EMAIL and "smtp" in settings.email_providers:
        return min(settings.campaign_calls, max(1, settings.smtp.max_connections // 2))
    return settings.campaign_calls


def build_workers(
    roles: Iterable[Role],
    settings: Settings,
    client: Client,
    built: Collaborators,
    *,
    workflow_runner: WorkflowRunner = UNSANDBOXED,
) -> list[Worker]:
    """One worker for each task queue of the roles; each retries as the client was told to (`OFFER_ANSWERS`)."""
    workers = [
        _sender(queue, settings, client, built)
        if queue.channel is not None
        else _orchestrator(queue, settings, client, built, workflow_runner)
        for role in roles
        for queue in queues_of(role)
    ]
    for worker in workers:
        worker.client = client  # a new worker drops its client's retry settings, a replaced one keeps them (ADR 25)
    return workers


def channels_of(roles: Iterable[Role]) -> tuple[Channel, ...]:
    """The channels that these roles send on."""
    found = {queue.channel for role in roles for queue in queues_of(role) if queue.channel is not None}
    return tuple(channel for channel in Channel if channel in found)


def _sender(queue: Queue, settings: Settings, client: Client, built: Collaborators) -> Worker:
    return Worker(
        client,
        task_queue=queue.name,
        activities=[built.sending.send, built.batches.send_batch] if queue.bulk else [built.sending.send],
        max_concurrent_activities=_slots(queue, settings),
        graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_grace_seconds),
    )


def _orchestrator(
    queue: Queue, settings: Settings, client: Client, built: Collaborators, workflow_runner: WorkflowRunner
) -> Worker:
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
            planning.expect_receipt,
            planning.retry_stuck,
            planning.skip_stuck,
            planning.reroute_stuck,
            planning.report_stuck,
            planning.finish,
            built.reconciliation.reconcile_ended,
            built.reconciliation.reconcile_never_started,
            built.reconciliation.reconcile_overdue,
            built.reconciliation.reconcile_resends,
            built.reconciliation.reconcile_outbox,
            built.imports.import_rows,
            built.imports.reconcile_imports,
            built.campaign_reconciliation.reconcile_campaigns,
            built.campaign_resends.look_at_resend,
            built.campaign_resends.expire_resend,
            built.campaign_resends.cancel_resend,
            built.campaign_resends.reconcile_campaign_resends,
            built.retention.remove_old,
            built.campaigns.look_at_campaign,
            built.campaigns.report_campaign,
            built.campaigns.prepare_campaign,
            built.campaigns.settle_campaign,
            built.campaigns.next_shards,
            built.campaigns.look_at_shard,
        ],
        workflow_runner=workflow_runner,
        max_concurrent_workflow_tasks=MAX_BULK_WORKFLOW_TASKS if queue.bulk else MAX_WORKFLOW_TASKS,
        max_concurrent_activities=_slots(queue, settings),
        max_concurrent_local_activities=settings.database_pool_size,
        graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_grace_seconds),
    )


def _slots(queue: Queue, settings: Settings) -> int:
    """No more sends than there are connections: a claimed message that waits for one uses up its time for the call.

    Promotional mails leave half of the connections, which they may share with urgent ones in a process of all roles.
    """
    slots = settings.worker_slots_bulk if queue.bulk else settings.worker_slots_urgent
    if queue.channel is Channel.EMAIL and "smtp" in settings.email_providers:
        connections = settings.smtp.max_connections
        return min(slots, max(1, connections // 2) if queue.bulk else connections)
    return slots
