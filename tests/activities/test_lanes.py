"""Lanes through a range of a campaign: what is granted is used at once, or given back."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from prometheus_client import REGISTRY
from typing_extensions import override

from activities.lanes import Lanes, Tools
from activities.slots import Slots
from notifications.breaker import Breaker
from notifications.campaigns.contents import CampaignContent
from notifications.campaigns.ranges import ClaimedMessage, Hold, RangeLedger
from notifications.campaigns.watch import Controls, Watch
from notifications.database import execute, transaction
from notifications.dead_addresses import DeadAddresses
from notifications.providers.base import UnknownOutcome
from notifications.providers.memory import MemoryProvider
from notifications.rates import USE_WITHIN_SECONDS, ProviderRates, Rates
from notifications.rendering.render import Renderer
from notifications.statuses import Channel
from tests.activities.desk import new_name
from tests.support.campaigns import insert_campaign, statuses_of
from tests.support.integration import HASH_KEY, LINKS, House

DATA = {"discount": "20 %", "code": "SPRING27", "ends": "2027-03-14", "shop_url": "https://acme.example/spring"}


class SlowRanges(RangeLedger):
    """Its claims take this many seconds more, each of the next ones."""

    delays: tuple[float, ...] = ()

    @override
    async def claim(self, hold: Hold, **wanted: Any) -> list[ClaimedMessage]:
        delay, *rest = self.delays or (0.0,)
        self.delays = tuple(rest)
        await asyncio.sleep(delay)
        return await super().claim(hold, **wanted)


class Range:
    """A campaign of one range, and what sends it."""

    def __init__(self, house: House, *, per_second: float | None) -> None:
        self.house = house
        self.per_second = per_second
        self.provider = MemoryProvider(Channel.EMAIL, name=new_name())
        self.ranges = SlowRanges(house.sessions, process="worker-a")
        self.rates = Rates(house.sessions)
        self.slots = Slots(10)

    async def fill(self, messages: int) -> UUID:
        self.campaign = await insert_campaign(self.house.sessions, messages=messages, per_second=self.per_second)
        return self.campaign

    async def lanes(self) -> Lanes:
        """One pass over it."""
        hold = await self.ranges.begin(self.campaign, 1, 1)
        assert hold is not None
        none: frozenset[str] = frozenset()
        watch = Watch(Controls("running", self.per_second, none, none, none), time.monotonic() + 60)
        tools = Tools(
            ranges=self.ranges,
            ledger=self.house.ledger,
            rates=self.rates,
            breaker=Breaker(self.house.sessions),
            dead_addresses=DeadAddresses(self.house.sessions, hash_key=HASH_KEY.encode()),
            slots={Channel.EMAIL: self.slots},
            provider_rates=ProviderRates(self.rates, {}),
        )
        return Lanes(hold, await self._content(), (self.provider,), watch, tools, until=self._until())

    async def _content(self) -> CampaignContent:
        catalogue = await self.house.catalogue.current()
        template = await self.house.catalogue.template_version("spring-sale", 1)
        category = catalogue.categories["offers"]
        return CampaignContent(self.campaign, Channel.EMAIL, category, template, DATA, Renderer(), LINKS)

    def _until(self) -> datetime:
        return datetime.now(UTC) + timedelta(minutes=1)


async def test_a_grant_that_could_not_be_used_at_once_is_given_back_and_burns_nobody(house: House):
    one = Range(house, per_second=20)
    campaign = await one.fill(5)
    one.ranges.delays = (USE_WITHIN_SECONDS * 2,) * 2  # as a machine that stands still for half a second
    lanes = await one.lanes()
    await lanes.run()
    assert lanes.sent < 5
    assert await statuses_of(house.sessions, campaign) == {"pending": 5 - lanes.sent} | (
        {"sent": lanes.sent} if lanes.sent else {}
    )
    again = await one.lanes()
    await again.run()
    assert await statuses_of(house.sessions, campaign) == {"sent": 5}
    assert len({sent.idempotency_key for sent in one.provider.sent}) == len(one.provider.sent) == 5


async def test_what_was_not_begun_takes_nothing_of_the_rate(house: House):
    one = Range(house, per_second=0.01)  # the next one would have to wait for a hundred seconds
    campaign = await one.fill(1)
    one.ranges.delays = (USE_WITHIN_SECONDS * 2,)
    await (await one.lanes()).run()
    assert await statuses_of(house.sessions, campaign) == {"pending": 1}
    lanes = await one.lanes()
    running = asyncio.ensure_future(lanes.run())
    async with asyncio.timeout(50):
        while await statuses_of(house.sessions, campaign) != {"sent": 1}:
            await asyncio.sleep(0.05)
    lanes.stop()
    await running


async def test_a_machine_that_is_always_slow_sends_nevertheless(house: House):
    one = Range(house, per_second=20)
    campaign = await one.fill(5)
    one.ranges.delays = (USE_WITHIN_SECONDS * 2,) * 1000
    for _ in range(5):
        await (await one.lanes()).run()
        if (await statuses_of(house.sessions, campaign)).get("sent") == 5:
            break
    assert await statuses_of(house.sessions, campaign) == {"sent": 5}


async def test_without_a_rate_a_slow_claim_is_used(house: House):
    one = Range(house, per_second=None)
    campaign = await one.fill(5)
    one.ranges.delays = (USE_WITHIN_SECONDS * 2,) * 2
    await (await one.lanes()).run()
    assert await statuses_of(house.sessions, campaign) == {"sent": 5}


async def test_nobody_holds_slots_while_waiting_for_a_rate(house: House):
    one = Range(house, per_second=0.01)
    campaign = await one.fill(2)
    lanes = await one.lanes()
    running = asyncio.ensure_future(lanes.run())

    async with asyncio.timeout(20):
        while (await statuses_of(house.sessions, campaign)).get("sent") != 1:
            await asyncio.sleep(0.02)
        taken = 0
        while taken < 10:  # all of them, though a lane waits for a hundred seconds
            taken += await one.slots.take(10 - taken)
    one.slots.give_back(10)
    lanes.stop()
    async with asyncio.timeout(20):
        await running
    assert await statuses_of(house.sessions, campaign) == {"sent": 1, "pending": 1}


async def test_calls_and_what_holds_them_up_are_counted(house: House):
    one = Range(house, per_second=20)
    await one.fill(15)
    await (await one.lanes()).run()
    labels = {"channel": "email", "provider": one.provider.name}
    counted = labels | {"origin": "campaign", "outcome": "accepted"}
    assert REGISTRY.get_sample_value("tidings_sends_total", counted) == 15
    assert REGISTRY.get_sample_value("tidings_campaign_rate_wait_seconds_total", labels)
    assert REGISTRY.get_sample_value("tidings_send_duration_seconds_count", labels)


async def test_an_answer_that_was_lost_is_counted(house: House):
    def unknown() -> float:
        return REGISTRY.get_sample_value("tidings_campaign_unknown_total") or 0.0

    before = unknown()
    one = Range(house, per_second=None)
    campaign = await one.fill(2)
    async with transaction(house.sessions) as session:
        await execute(
            session,
            "UPDATE messages SET status = 'sending', attempt = 1, range_epoch = 0,"
            " claimed_at = now() - interval '1 hour' WHERE origin_id = :id AND seq = 1",
            {"id": campaign},
        )
    one.provider.script([UnknownOutcome("timeout")])
    await (await one.lanes()).run()
    assert await statuses_of(house.sessions, campaign) == {"unknown": 2}
    assert unknown() - before == 2
