"""What `doctor` looks at. Nothing here changes anything; every check is bounded in time."""

import asyncio
import os
import platform
import sys
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from activities.temporal import RECONCILIATION, connect
from bridge.kafka_settings import kafka_config
from bridge.topics import OUTCOMES, all_topics
from devstack.checks import Problem, database_problem, kafka_problem, namespace_problem, retention_problem
from devstack.kafka import PARTITIONS
from devstack.state import STATE, read_endpoints
from notifications.catalogue.store import CatalogueStore
from notifications.database import create_engine, create_sessions
from notifications.providers.base import DeliveryError
from notifications.providers.registry import build_providers
from notifications.settings import Settings, SettingsError, load_settings
from notifications.statuses import Channel
from worker.roles import Role, queues_of
from workflows.reconciliation import has_reconciliation

_CHECK_SECONDS = 20
_OLDEST_PYTHON = (3, 11)
_START_ALL = "python -m tidings dev"
_OK = 200


@dataclass(frozen=True)
class Finding:
    """One check; `mend` is a command or what to do, None where all is well."""

    name: str
    ok: bool
    detail: str
    mend: str | None = None


def _judge(name: str, problem: Problem | None, detail: str) -> Finding:
    if problem is None:
        return Finding(name, ok=True, detail=detail)
    return Finding(name, ok=False, detail=problem.what, mend=problem.mend)


async def examine(environ: Mapping[str, str] = os.environ) -> list[Finding]:
    """Every finding, in the order in which one would mend them."""
    findings = [_python()]
    try:
        settings = load_settings(environ)
    except SettingsError as error:
        return [*findings, Finding("settings", ok=False, detail=str(error), mend="correct the variable")]
    checks: dict[str, Callable[[], Awaitable[list[Finding]]]] = {
        "postgres": partial(_database, settings),
        "temporal": _temporal,
        "kafka": partial(_kafka, settings, environ),
        **{f"provider {channel}": partial(check_providers, settings, channel) for channel in Channel},
        "api": partial(check_api, settings),
        "bridge": _bridge,
    }
    groups = await asyncio.gather(*(_bounded(name, check) for name, check in checks.items()))
    await asyncio.sleep(0.1)  # the SDK's threads may abort an interpreter that exits right after its last answer
    return findings + [finding for group in groups for finding in group]


def _python() -> Finding:
    ok = sys.version_info[:2] >= _OLDEST_PYTHON
    return Finding(
        "python", ok=ok, detail=platform.python_version(), mend=None if ok else "install Python 3.11 or newer"
    )


async def _bounded(name: str, check: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    try:
        return await asyncio.wait_for(check(), _CHECK_SECONDS)
    except TimeoutError:
        return [Finding(name, ok=False, detail=f"no answer within {_CHECK_SECONDS} s", mend="see its log")]


async def _database(settings: Settings) -> list[Finding]:
    found = [_judge("postgres", await database_problem(settings.database_url), "answers, its schema is the newest")]
    if found[0].ok:
        engine = create_engine(settings.database_url, pool_size=1)
        try:
            catalogue = await CatalogueStore(create_sessions(engine)).current()
        finally:
            await engine.dispose()
        count = len(catalogue.definitions)
        empty = Problem("no definition is published", "python -m tidings apply catalogue/") if not count else None
        found.append(_judge("catalogue", empty, f"{count} definitions are published"))
    return found


async def _temporal() -> list[Finding]:
    try:
        client = await connect()
    except RuntimeError as error:
        mend = f"start it (`{_START_ALL}`), or correct TEMPORAL_ADDRESS"
        return [Finding("temporal", ok=False, detail=f"does not answer: {str(error).splitlines()[0]}", mend=mend)]
    detail = f"answers, the namespace {client.namespace} has our search attributes"
    found = [_judge("temporal", await namespace_problem(client), detail)]
    if found[0].ok:
        found.append(await check_reconciliation(client))
    return found + [await check_workers(client, role) for role in Role]


async def check_reconciliation(client: Client) -> Finding:
    missing = Problem(f"the Schedule {RECONCILIATION} does not exist", "python -m tidings reconcile")
    there = await has_reconciliation(client)
    return _judge("reconciliation", None if there else missing, f"the Schedule {RECONCILIATION} exists")


async def check_workers(client: Client, role: Role) -> Finding:
    """Whether each task queue of the role is polled: workflows on the orchestrators' queues, activities on all."""
    idle = [queue.name for queue in queues_of(role) if not await _is_polled(client, queue.name)]
    if not idle:
        return Finding(f"worker {role}", ok=True, detail="polls its task queues")
    return Finding(
        f"worker {role}",
        ok=False,
        detail=f"nobody polls {', '.join(idle)}",
        mend=f"python -m tidings worker --roles {role}",
    )


async def _is_polled(client: Client, queue: str) -> bool:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        )
    )
    return bool(answer.pollers)


async def _kafka(settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    try:
        config = kafka_config(environ)
    except ValueError as error:
        return [Finding("kafka", ok=False, detail=str(error), mend="export KAFKA_BOOTSTRAP_SERVERS=host:9092")]
    topics = all_topics(settings.topics)
    problem = await kafka_problem(config, topics, partitions=PARTITIONS)
    found = [_judge("kafka", problem, f"answers at {config['bootstrap.servers']}, all {len(topics)} topics are there")]
    if found[0].ok:
        incoming = [topic for topic in topics if topic != OUTCOMES]
        longer = await retention_problem(config, incoming, settings.retention.ledger)
        found.append(
            _judge("retention", longer, "the ledger remembers what the topics keep, as far as the broker says")
        )
    return found


async def check_providers(settings: Settings, channel: Channel) -> list[Finding]:
    try:
        providers = build_providers(settings, [channel])[channel]
    except SettingsError as error:
        return [Finding(f"provider {channel}", ok=False, detail=str(error), mend="see .env.example")]
    found = []
    for provider in providers:
        name = f"provider {provider.name} ({channel})"
        try:
            await provider.check()
        except DeliveryError as error:
            found.append(Finding(name, ok=False, detail=str(error), mend="correct its settings: see .env.example"))
        else:
            where = "the sandbox answers" if settings.dev_sandbox_url else "the account answers"
            found.append(Finding(name, ok=True, detail=where))
        finally:
            await provider.close()
    return found


def _status(url: str) -> int | str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError as error:
        return str(getattr(error, "reason", error))


async def _http(name: str, url: str) -> list[Finding]:
    status = await asyncio.to_thread(_status, url)
    if status == _OK:
        return [Finding(name, ok=True, detail=f"ready at {url}")]
    detail = f"not ready at {url}: " + (f"status {status}" if isinstance(status, int) else status)
    return [Finding(name, ok=False, detail=detail, mend=f"python -m tidings {name}")]


async def check_api(settings: Settings) -> list[Finding]:
    return await _http("api", f"http://{settings.api_host}:{settings.api_port}/readyz")


async def _bridge() -> list[Finding]:
    """Only the running stack says where the bridge is; elsewhere its own monitoring looks at it."""
    endpoints = read_endpoints(STATE)
    if endpoints is None:
        return []
    return await _http("bridge", endpoints.metrics["bridge"].replace("/metrics", "/readyz"))
