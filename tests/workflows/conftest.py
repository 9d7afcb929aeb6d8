"""One world for this folder: its clock is one for all, so one workflow runs at a time."""

from collections.abc import AsyncIterator

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.support.workflow_world import World, running_world


@pytest.fixture(scope="package")
async def world(time_skipping: WorkflowEnvironment) -> AsyncIterator[World]:
    async with running_world(time_skipping) as world:
        yield world
