"""The rate that all processes share: together or not at all, and never above it."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from notifications.database import Sessions, create_engine, create_sessions, execute, transaction
from notifications.rates import Grant, ProviderRates, Rate, Rates

FAST = Rate("campaign:fast", 1000.0)
SLOW = Rate("provider:slow", 2.0)


@pytest.fixture
async def rates(sessions: Sessions) -> Rates:
    async with transaction(sessions) as session:
        await execute(session, "DELETE FROM rate_limits")
    return Rates(sessions)


def standing_still(sessions: Sessions) -> Rates:
    """By a clock at which nothing has been used yet."""
    now = datetime.now(UTC) + timedelta(hours=1)
    return Rates(sessions, now=lambda: now)


async def test_without_a_rate_everything_may_go(rates: Rates):
    assert await rates.take([], 50) == Grant(50, 0.0)


async def test_a_key_that_nobody_used_has_room_for_a_quarter_of_a_second(rates: Rates):
    assert (await rates.take([Rate("campaign:new", 20.0)], 50)).count == 5
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
    slow = Rate("campaign:back", 8.0)
    assert (await rates.take([slow], 50)).count == 2
    await rates.give_back([slow], 2)
    assert (await rates.take([slow], 50)).count == 2


async def test_single_messages_are_debited_and_campaigns_wait_for_them(rates: Rates):
    provider = Rate("provider:shared", 10.0)
    await rates.debit([provider], 15)
    refused = await rates.take([provider], 1)
    assert refused.count == 0
    assert refused.wait > 0.5


async def test_small_grants_of_a_high_rate_are_gathered(sessions: Sessions):
    rates = standing_still(sessions)
    gathered = Rate("campaign:gathered", 1000.0)
    granted = [(await rates.take([gathered], 50)).count for _ in range(6)]
    assert granted == [50, 50, 50, 50, 50, 0]
    await rates.give_back([gathered], 10)
    refused = await rates.take([gathered], 50)
    assert refused.count == 0
    assert refused.wait == pytest.approx(0.04)  # until there is room for fifty


async def test_a_removed_key_is_made_again(rates: Rates, sessions: Sessions):
    await rates.take([FAST], 1)
    async with transaction(sessions) as session:
        await execute(session, "DELETE FROM rate_limits")
    assert (await rates.take([FAST], 1)).count == 0
    assert (await rates.take([FAST], 1)).count == 1


async def test_a_rate_that_was_raised_is_felt_at_once(rates: Rates, sessions: Sessions):
    assert (await rates.take([Rate("campaign:raised", 0.1)], 50)).count == 1  # the next one ten seconds later
    raised = Rate("campaign:raised", 100.0)
    refused = await rates.take([raised], 50)
    assert refused.count == 0
    assert refused.wait <= 0.75
    assert (await rates.take([raised], 50)).wait <= refused.wait  # and does not begin anew with each question


async def test_single_messages_of_long_ago_are_forgotten(rates: Rates):
    provider = Rate("provider:flooded", 10.0)
    await rates.debit([provider], 1000)
    assert (await rates.take([provider], 1)).wait <= 0.75


async def test_a_share_of_a_provider_stays_for_single_messages(sessions: Sessions):
    rates = standing_still(sessions)
    shared = ProviderRates(rates, {"shared": 20.0})
    campaign = uuid4()
    taken = shared.of_campaign(campaign, 500.0, "shared")
    assert taken == [Rate(f"campaign:{campaign}", 500.0), Rate("provider:shared", 20.0), Rate("campaigns:shared", 16.0)]
    assert shared.of_campaign(campaign, None, "fcm") == []
    assert (await rates.take(taken, 50)).count == 4
    assert (await rates.take([Rate("provider:shared", 20.0)], 50)).count == 1


async def test_a_single_message_is_counted_and_does_not_wait(rates: Rates):
    shared = ProviderRates(rates, {"sendgrid": 10.0})
    for _ in range(15):
        shared.count_single("sendgrid")
        shared.count_single("smtp")  # has no rate
    await shared.close()
    assert (await rates.take(shared.of_campaign(uuid4(), None, "sendgrid"), 1)).wait > 0.5
    assert (await rates.take(shared.of_campaign(uuid4(), None, "smtp"), 1)).count == 1


async def test_a_single_message_goes_out_uncounted_where_postgres_is_out():
    engine = create_engine(SecretStr("postgresql://nobody@127.0.0.1:1/none"))
    shared = ProviderRates(Rates(create_sessions(engine)), {"smtp": 10.0})
    with capture_logs() as logs:
        shared.count_single("smtp")
        await shared.close()
    assert [(each["event"], each["count"]) for each in logs] == [("rate.not_counted", 1)]
    await engine.dispose()


async def test_one_of_a_process_asks_at_a_time(rates: Rates):
    inside = 0
    most = 0

    async def ask(key: str) -> None:
        nonlocal inside, most
        async with rates.turn([Rate(key, 1.0)]):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(ask("campaign:same") for _ in range(5)))
    assert most == 1
    await asyncio.gather(*(ask(f"campaign:{number}") for number in range(5)))
    assert most == 5


@pytest.mark.parametrize("per_second", [10.0, 100.0, 1000.0])
async def test_thirty_seconds_of_three_takers_keep_the_rate(rates: Rates, sessions: Sessions, per_second: float):
    """By a clock that moves on only when nobody gets anything."""
    rate = Rate(f"campaign:steady-{per_second}", per_second)
    await rates.take([rate], 0)
    begun = datetime.now(UTC) + timedelta(hours=1)  # nobody has used it since
    now = begun
    takers = [Rates(sessions, now=lambda: now) for _ in range(3)]
    granted: list[tuple[float, int]] = []
    while now < begun + timedelta(seconds=30):
        grants = await asyncio.gather(*(taker.take([rate], 50) for taker in takers))
        granted += [((now - begun).total_seconds(), grant.count) for grant in grants if grant.count]
        now += timedelta(seconds=min(grant.wait for grant in grants))
    total = sum(count for _, count in granted)
    room = max(1.0, per_second * 0.25)  # of a key that nobody used: what the first moment has beyond the rate
    assert total - room == pytest.approx(per_second * 30, rel=0.05)
    for since, _ in granted:
        assert sum(count for at, count in granted if since <= at < since + 1) <= per_second + room + 1


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
        assert in_a_second <= 200 + 50 + 50  # what a grant's answer may be late by is one grant


async def arrival(sessions: Sessions, rate: Rate) -> object:
    async with sessions() as session:
        return (
            await execute(session, "SELECT arrival_at FROM rate_limits WHERE key = :key", {"key": rate.key})
        ).scalar()
