"""Campaigns launched and cancelled through Kafka: one workflow each, whatever dies in between."""

import asyncio
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

from bridge.starts import Starter
from notifications.campaigns.events import TouchedCampaign
from notifications.database import execute
from notifications.ids import event_uuid
from tests.bridge.dying import DIED
from tests.bridge.running import Bench, eventually
from tests.support.events import SOURCE, call_off, launch

_ROOT = Path(__file__).resolve().parents[2]
_LATER = "2099-01-01T00:00:00Z"


def _id(made: dict[str, Any]) -> UUID:
    return event_uuid(SOURCE, str(made["id"]))


def _handle(bench: Bench, campaign: UUID) -> WorkflowHandle[Any, Any]:
    return bench.client.get_workflow_handle(f"campaign-{campaign}-1")


async def _has_workflow(bench: Bench, campaign: UUID) -> bool:
    try:
        await _handle(bench, campaign).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True


async def _state(bench: Bench, campaign: UUID) -> str | None:
    async with bench.sessions() as session:
        statement = "SELECT state FROM campaigns WHERE id = :id"
        return (await execute(session, statement, {"id": campaign})).scalar_one_or_none()


async def _is_cancelled(bench: Bench, campaign: UUID) -> bool:
    return await _state(bench, campaign) == "cancelled"


async def _signals(bench: Bench, campaign: UUID) -> list[str]:
    history = await _handle(bench, campaign).fetch_history()
    return [
        one.workflow_execution_signaled_event_attributes.signal_name
        for one in history.events
        if one.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
    ]


async def test_a_launch_starts_one_workflow_and_a_cancel_wakes_it(bench: Bench) -> None:
    made = launch(sendat=_LATER)
    campaign = _id(made)
    async with bench.bridge():
        for _ in range(2):
            await bench.send(made, "campaigns", key=str(campaign))
        await eventually(lambda: _has_workflow(bench, campaign), what="the campaign's workflow")
        await bench.send(call_off(campaign), "campaigns", key=str(campaign))
        await eventually(lambda: _is_cancelled(bench, campaign), what="the cancel")
        await eventually(lambda: _signals(bench, campaign), what="the signal")
        wrong = await bench.send(launch(data={"category": "no-such"}), "campaigns")
        rejected = await eventually(lambda: bench.rejection(wrong, "campaigns"))
    assert (rejected.reason, "data.category" in rejected.detail) == ("schema", True)
    description = await _handle(bench, campaign).describe()
    assert description.typed_search_attributes.search_attributes[0].value == str(campaign)


async def test_one_that_ended_without_a_workflow_needs_none(bench: Bench) -> None:
    campaign = uuid4()
    starter = Starter(bench.client, public_url="http://127.0.0.1:8000")
    await starter.tell_campaign(TouchedCampaign(campaign, 1, "Spring sale", ended=True))
    assert not await _has_workflow(bench, campaign)


@pytest.mark.real_kafka  # the built-in cluster keeps a dead member's partitions for longer than a test should wait
async def test_a_bridge_that_dies_between_commit_and_start(bench: Bench, temporal_address: str) -> None:
    made = launch(sendat=_LATER)
    campaign = _id(made)
    await bench.send(made, "campaigns", key=str(campaign))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bridge.dying", "stored", bench.bootstrap, bench.database_url, temporal_address),
        cwd=_ROOT,
    )
    try:
        assert await asyncio.wait_for(process.wait(), 90) == DIED
    finally:
        if process.returncode is None:
            process.kill()
    assert await _state(bench, campaign) == "scheduled"
    assert not await _has_workflow(bench, campaign)
    async with bench.bridge():
        await eventually(lambda: _has_workflow(bench, campaign), within=60, what="the campaign's workflow")
    assert await _state(bench, campaign) == "scheduled"
