"""A short selection of the harness; `make chaos` plays everything."""

from collections.abc import AsyncIterator

import pytest

from tests.chaos.every_fault import named, play
from tests.chaos.world import World, running_world

SELECTION = ("worker-term", "vendor-reset-accepted", "campaign-postgres-kill")
SEED = 7


@pytest.fixture(scope="module")
async def world() -> AsyncIterator[World]:
    async with running_world() as running:
        yield running


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SELECTION)
async def test_nothing_is_lost_and_nothing_comes_silently_twice(world: World, name: str):
    assert (await play(world, named(name), SEED)).account.wrong == []
