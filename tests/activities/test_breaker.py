"""The circuit breaker: opened by outages in a row, probed one at a time, closed by an answer, for all workers alike."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError
from typing_extensions import override

from notifications.breaker import THRESHOLD, Breaker
from notifications.database import transaction
from notifications.ledger import Ledger, Try, Verdict
from notifications.provider_accounts import ProviderAccounts
from notifications.providers.base import ErrorScope, PermanentDeliveryError, TransientDeliveryError, UnknownOutcome
from notifications.providers.memory import MemoryProvider
from notifications.settings import Settings
from notifications.statuses import Channel, MessageStatus
from notifications.tables import ProviderState
from tests.activities.desk import SECOND, T0, Desk, planned
from tests.support.integration import House
from tests.support.programs import eventually

OUTAGE = TransientDeliveryError("smtp_connect", outage=True)


@pytest.fixture
async def desk(house: House) -> Desk:
    return Desk(house, await planned(house))


async def colleague(desk: Desk) -> Desk:
    """Another message, in another worker, at the same provider."""
    return Desk(
        desk.house,
        await planned(desk.house),
        providers=dict.fromkeys(Channel, (desk.provider,)),
        ledger=Ledger(desk.house.sessions, process="worker-b"),
    )


async def fail_in_a_row(desk: Desk, times: int, error: Exception = OUTAGE) -> None:
    desk.provider.script([error] * times)  # type: ignore[list-item]
    for number in range(times):
        await desk.fail(at=T0 + number * SECOND)


async def state(desk: Desk) -> ProviderState:
    async with desk.house.sessions() as session:
        return await session.get_one(ProviderState, (desk.provider.name, "email"))


async def half_open(desk: Desk) -> None:
    """Its time is over."""
    async with transaction(desk.house.sessions) as session:
        row = await session.get_one(ProviderState, (desk.provider.name, "email"))
        row.open_until = datetime.now(UTC) - SECOND
        session.add(row)


@pytest.mark.parametrize("error", [OUTAGE, UnknownOutcome("timeout")], ids=repr)
async def test_outages_in_a_row_open_it_for_every_worker(desk: Desk, error: Exception) -> None:
    await fail_in_a_row(desk, THRESHOLD, error)
    opened = await state(desk)
    assert (opened.failures, opened.reason) == (THRESHOLD, error.code)  # type: ignore[attr-defined]
    assert opened.open_until is not None
    assert timedelta(seconds=3) < opened.open_until - datetime.now(UTC) < timedelta(seconds=7)
    other = await colleague(desk)
    refused = await other.fail()
    assert (refused.type, desk.provider.calls) == ("BreakerOpen", THRESHOLD)
    waiting = await other.message()
    assert (waiting.attempt, waiting.reason, waiting.failures) == (0, "breaker_open", 0)
    assert waiting.budget_since is not None, "the budget runs"
    assert refused.next_retry_delay is not None
    assert timedelta(seconds=4) < refused.next_retry_delay < timedelta(minutes=5)
    accounts = Settings(email_providers=(desk.provider.name,))
    async with desk.house.sessions() as session:
        found = next(
            each for each in await ProviderAccounts(session, accounts).all() if each.provider == desk.provider.name
        )
    assert (found.state, found.failures) == ("open", THRESHOLD)


async def test_an_answer_between_them_begins_the_count_anew(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD - 1)
    desk.provider.script([TransientDeliveryError("smtp_450"), OUTAGE])
    other = await colleague(desk)
    await other.fail()
    await other.fail(at=T0 + SECOND)
    assert ((await state(desk)).failures, (await state(desk)).open_until) == (1, None)


@pytest.mark.parametrize(
    "error",
    [TransientDeliveryError("smtp_450"), TransientDeliveryError("smtp_429", retry_after=SECOND)],
    ids=["greylisting", "throttling"],
)
async def test_a_refusal_for_now_is_no_outage(desk: Desk, error: TransientDeliveryError) -> None:
    desk.provider.script([error] * (THRESHOLD + 1))
    for _ in range(THRESHOLD + 1):
        await (await colleague(desk)).fail()
    assert desk.provider.calls == THRESHOLD + 1


async def test_one_probe_at_a_time_and_its_answer_closes_it(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    other = await colleague(desk)
    await half_open(desk)
    desk.provider.gate.clear()
    probe = asyncio.create_task(desk.send(at=T0 + 20 * SECOND))
    await eventually(lambda: desk.provider.calls == THRESHOLD + 1)
    assert (await other.fail()).type == "BreakerOpen", "one is under way"
    desk.provider.gate.set()
    assert (await probe).status is MessageStatus.SENT
    closed = await state(desk)
    assert (closed.failures, closed.open_until, closed.probe_at, closed.reason) == (0, None, None, None)
    assert (await other.send(at=T0 + SECOND)).status is MessageStatus.SENT


async def test_two_workers_at_the_same_moment_are_one_probe(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    others = [await colleague(desk) for _ in range(4)]
    await half_open(desk)
    desk.provider.gate.clear()
    sends = [asyncio.create_task(each.send()) for each in others]
    await eventually(lambda: sum(send.done() for send in sends) >= len(others) - 1)
    await eventually(lambda: desk.provider.calls > THRESHOLD)
    assert desk.provider.calls == THRESHOLD + 1
    desk.provider.gate.set()
    ends = await asyncio.gather(*sends, return_exceptions=True)
    assert sum(isinstance(end, ApplicationError) and end.type == "BreakerOpen" for end in ends) == len(others) - 1


async def test_a_batch_has_one_probe(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    await half_open(desk)
    ids: list[UUID] = [await planned(desk.house) for _ in range(3)]
    tries = [Try(origin, 2, 1, T0, desk.provider.name) for origin in ids]
    found = await Ledger(desk.house.sessions, process="bulk").claim(tries)
    assert sorted(claim.verdict for claim in found) == [Verdict.BREAKER_OPEN] * 2 + [Verdict.CLAIMED]


async def test_a_probe_that_is_lost_makes_way_for_another(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    await half_open(desk)
    one, two = await colleague(desk), await colleague(desk)
    wanted = Try(one.notification, 2, 1, T0, desk.provider.name)
    (claim,) = await Ledger(desk.house.sessions, process="lost").claim([wanted])
    assert claim.verdict is Verdict.CLAIMED
    assert (await two.fail()).type == "BreakerOpen"
    async with transaction(desk.house.sessions) as session:
        row = await session.get_one(ProviderState, (desk.provider.name, "email"))
        assert row.probe_at is not None
        row.probe_at -= timedelta(seconds=36)
        session.add(row)
    assert (await two.send(at=T0 + SECOND)).status is MessageStatus.SENT


async def test_a_probe_whose_call_never_began_is_given_back(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    await half_open(desk)
    ledger = Ledger(desk.house.sessions, process="worker-b")
    one, two = await colleague(desk), await colleague(desk)
    claims = await ledger.claim([Try(one.notification, 2, 1, T0, desk.provider.name)])
    await ledger.release(claims)
    assert (await two.send()).status is MessageStatus.SENT


async def test_a_probe_that_fails_opens_it_for_twice_as_long(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    lengths = []
    for _ in range(5):
        await half_open(desk)
        desk.provider.script([OUTAGE])
        await (await colleague(desk)).fail()
        until = (await state(desk)).open_until
        assert until is not None
        lengths.append((until - datetime.now(UTC)).total_seconds())
    for length, wanted in zip(lengths, (10, 20, 40, 60, 60), strict=True):
        assert wanted * 0.7 < length < wanted * 1.25


async def test_any_answer_of_a_probe_closes_it(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    await half_open(desk)
    desk.provider.script([PermanentDeliveryError("no_mailbox", scope=ErrorScope.RECIPIENT)])
    assert (await desk.send(at=T0 + 20 * SECOND)).status is MessageStatus.FAILED
    assert (await state(desk)).open_until is None


async def test_an_open_breaker_uses_up_the_budget(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    other = await colleague(desk)
    await other.fail()
    async with transaction(desk.house.sessions) as session:
        row = await other.message()
        row.budget_since = datetime.now(UTC) - row.retry_for + 2 * SECOND
        session.add(row)
    soon = (await other.fail(at=T0 + SECOND)).next_retry_delay
    assert soon is not None
    assert soon <= 3 * SECOND, "it looks again when the budget is spent"
    async with transaction(desk.house.sessions) as session:
        row = await other.message()
        row.budget_since = datetime.now(UTC) - row.retry_for - SECOND
        session.add(row)
    stuck = await other.send(at=T0 + 2 * SECOND)
    assert (stuck.status, stuck.stuck_reason) == (MessageStatus.PENDING, "breaker_open")


async def test_where_another_channel_is_left_it_fails_instead(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    other = await colleague(desk)
    await other.fail()
    async with transaction(desk.house.sessions) as session:
        row = await other.message()
        row.budget_since = datetime.now(UTC) - row.retry_for - SECOND
        session.add(row)
    ended = await other.send(at=T0 + SECOND, stick=False)
    assert (ended.status, ended.reason) == (MessageStatus.FAILED, "breaker_open")


async def test_the_next_in_order_sends_while_it_is_open(desk: Desk) -> None:
    await fail_in_a_row(desk, THRESHOLD)
    second = MemoryProvider(Channel.EMAIL, name=f"second-{desk.provider.name}")
    other = Desk(desk.house, await planned(desk.house), providers={Channel.EMAIL: (desk.provider, second)})
    assert (await other.send()).provider == second.name
    assert desk.provider.calls == THRESHOLD


async def test_a_breaker_that_cannot_be_told_costs_no_outcome(house: House) -> None:
    desk = Desk(house, await planned(house), breaker=DeafBreaker(house.sessions))
    desk.provider.script([OUTAGE])
    assert (await desk.fail()).type == "transient"
    assert [row.outcome for row in await desk.attempts()] == ["transient"]


class DeafBreaker(Breaker):
    @override
    async def note_outage(self, provider: str, channel: Channel, code: str | None) -> None:
        raise ConnectionError
