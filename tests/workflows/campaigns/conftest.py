"""A server for each test of a campaign: its many workflows end one by one, and one left over would hold the clock."""

from collections.abc import AsyncIterator

import pytest

from tests.support.servers import running_time_skipping
from tests.support.workflow_world import World, running_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    try:
        async with running_time_skipping() as environment, running_world(environment) as world:
            yield world
    except FileNotFoundError as missing:
        pytest.skip(str(missing))
