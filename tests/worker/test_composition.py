"""What a worker process is made of: everything registered, urgent and bulk apart."""

import importlib
import inspect
import pkgutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from types import ModuleType

import pytest
from pydantic import SecretStr
from temporalio.worker import Worker

import activities
import workflows
from notifications.settings import Settings
from notifications.statuses import Channel
from tests.support.integration import House
from worker.composition import collaborators


def modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def defined(package: ModuleType, marker: str) -> set[str]:
    """The names of the workflows or activities that a package defines, by the SDK's own mark on them."""
    names = set()
    for module in modules(package):
        classes = [
            each for _, each in inspect.getmembers(module, inspect.isclass) if each.__module__ == module.__name__
        ]
        functions = [function for each in [module, *classes] for _, function in inspect.getmembers(each, callable)]
        for each in [*classes, *functions]:
            definition = getattr(each, marker, None)
            if definition is not None:
                names.add(definition.name)
    return names


def registered(workers: list[Worker], kind: str) -> set[str]:
    return {
        getattr(each, f"__temporal_{kind}_definition").name
        for worker in workers
        for each in worker.config().get("workflows" if kind == "workflow" else "activities", ())
    }


@pytest.fixture(scope="module")
async def workers(house: House) -> AsyncIterator[list[Worker]]:
    """All of them, running: a client takes one worker for each queue."""
    async with AsyncExitStack() as stack:
        workers = house.workers()
        for worker in workers:
            await stack.enter_async_context(worker)
        yield workers


@pytest.mark.parametrize(("package", "kind"), [(workflows, "workflow"), (activities, "activity")], ids=["w", "a"])
async def test_everything_that_is_defined_is_served(workers: list[Worker], package: ModuleType, kind: str):
    known = defined(package, f"__temporal_{kind}_definition")
    assert known
    assert registered(workers, kind) == known


async def test_urgent_and_bulk_are_workers_of_their_own_with_slots_of_their_own(workers: list[Worker]):
    slots = {worker.task_queue: worker.config()["max_concurrent_activities"] for worker in workers}
    assert len(slots) == len(workers) == 10
    assert {slots[name] for name in slots if "bulk" in name and "email" not in name} == {3}
    assert {slots[name] for name in slots if "bulk" not in name and "email" not in name} == {7}
    decisions = {worker.task_queue: worker.config()["max_concurrent_workflow_tasks"] for worker in workers}
    assert decisions["orchestrator-bulk"] < decisions["orchestrator"]


async def test_a_mail_waits_for_a_connection_in_the_queue_and_not_claimed(workers: list[Worker]):
    """Claimed, its time for the call would run while a slow server has all connections busy."""
    slots = {worker.task_queue: worker.config()["max_concurrent_activities"] for worker in workers}
    assert (slots["channel-email"], slots["bulk-email"]) == (4, 2)


async def test_a_missing_setting_is_named_and_nothing_stays_open(house: House):
    settings = Settings(database_url=house.settings.database_url, sms_providers=("twilio",))
    with pytest.raises(ValueError, match="TIDINGS_"):
        async with collaborators(settings, house.client, [Channel.SMS]):
            pass
    with pytest.raises(ValueError, match="TIDINGS_HASH_KEY"):
        async with collaborators(Settings(database_url=SecretStr("postgresql://x")), house.client, []):
            pass
