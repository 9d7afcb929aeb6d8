"""The rate that all processes share: together or not at all, and never above it."""

import asyncio
import time

import pytest

from notifications.database import Sessions, execute, transaction
from notifications.rates import Grant, Rate, Rates

FAST = Rate("campaign:fast", 1000.0)
SLOW = Rate("provider:slow", 2.0)


@pytest.fixture
async def rates(sessions: Sessions) -> Rates:
    async with transaction(sessions) as session:
        await execute(session, "DELETE FROM rate_limits")
    return Rates(sessions)


async def hold_back(sessions: Sessions, rate: Rate, seconds: float) -> None:
    async with transaction(sessions) as session:
        changed = (
            "UPDATE rate_limits SET arrival_at = clock_timestamp() + :seconds * interval '1 second' WHERE key = :key"
        )
        await execute(session, changed, {"key": rate.key, "seconds": seconds})


async def test_without_a_rate_everything_may_go(rates: Rates):
    assert await rates.take([], 50) == Grant(50, 0.0)


async def test_a_key_that_nobody_used_has_room_for_half_a_second(rates: Rates):
    assert (await rates.take([Rate("campaign:new", 20.0)], 50)).count == 10
    assert (await rates.take([Rate("campaign:less_than_one", 0.5)], 50)).count == 1


async def test_what_is_used_up_says_when_to_ask_again(rates: Rates):
    assert (await rates.take([SLOW], 50)).count == 1
    refused = await rates.take([SLOW], 50)
    assert refused.count == 0
    assert 0 < refused.wait <= 0.5


async def test_two_keys_give_together_or_not_at_all(rates: Rates, sessions: Sessions):
    assert (await rates.take([FAST, SLOW], 50)).count == 1
    before = await arrival(sessions, FAST)
    assert (await rates.take([FAST, SLOW], 50)).count == 0
    assert await arrival(sessions, FAST) == before


async def test_what_was_not_needed_goes_back(rates: Rates):
    slow = Rate("campaign:back", 4.0)
    assert (await rates.take([slow], 50)).count == 2
    await rates.give_back([slow], 2)
    assert (await rates.take([slow], 50)).count == 2


async def test_single_messages_are_debited_and_campaigns_wait_for_them(rates: Rates):
    provider = Rate("provider:shared", 10.0)
    await rates.debit([provider], 15)
    refused = await rates.take([provider], 1)
    assert refused.count == 0
    assert refused.wait > 0.5


async def test_small_grants_of_a_high_rate_are_gathered(rates: Rates, sessions: Sessions):
    await rates.take([FAST], 1)
    await hold_back(sessions, FAST, 0.499)
    refused = await rates.take([FAST], 50)
    assert refused.count == 0
    assert refused.wait > 0.03  # until there is room for fifty


async def test_a_removed_key_is_made_again(rates: Rates, sessions: Sessions):
    await rates.take([FAST], 1)
    async with transaction(sessions) as session:
        await execute(session, "DELETE FROM rate_limits")
    assert (await rates.take([FAST], 1)).count == 0
    assert (await rates.take([FAST], 1)).count == 1


async def test_three_processes_together_keep_the_rate(sessions: Sessions):
    rate = Rate("campaign:three", 200.0)
    granted: list[tuple[float, int]] = []
    begun = time.monotonic()

    async def work() -> None:
        own = Rates(sessions)
        while sum(count for _, count in granted) < 400:
            grant = await own.take([rate], 50)
            if grant.count:
                granted.append((time.monotonic() - begun, grant.count))
            else:
                await asyncio.sleep(grant.wait)

    await asyncio.gather(*(work() for _ in range(3)))
    for since, _ in granted:
        in_a_second = sum(count for at, count in granted if since <= at < since + 1)
        assert in_a_second <= 200 + 100 + 50  # what a grant's answer may be late by is one grant


async def arrival(sessions: Sessions, rate: Rate) -> object:
    async with sessions() as session:
        return (
            await execute(session, "SELECT arrival_at FROM rate_limits WHERE key = :key", {"key": rate.key})
        ).scalar()
