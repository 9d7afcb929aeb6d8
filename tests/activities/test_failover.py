"""Failover: the next provider tries at once after an outage or our account's fault, and never after a lost answer."""

import pytest

from notifications.database import transaction
from notifications.providers.base import (
    DeliveryError,
    ErrorScope,
    PermanentDeliveryError,
    TransientDeliveryError,
    UnknownOutcome,
)
from notifications.providers.memory import MemoryProvider
from notifications.statuses import Channel, MessageStatus
from tests.activities.desk import SECOND, T0, Desk, new_name, planned
from tests.support.integration import House

OUTAGE = TransientDeliveryError("smtp_connect", outage=True)
OUR_FAULT = PermanentDeliveryError("smtp_535", scope=ErrorScope.CONFIG)


class Pair:
    """Two providers of one channel, and a message for them."""

    def __init__(self, desk: Desk, first: MemoryProvider, second: MemoryProvider) -> None:
        self.desk, self.first, self.second = desk, first, second

    @property
    def calls(self) -> tuple[int, int]:
        return self.first.calls, self.second.calls

    async def outcomes(self) -> list[tuple[int, str, str]]:
        names = {self.first.name: "first", self.second.name: "second"}
        return [(row.attempt, names[row.provider], row.outcome) for row in await self.desk.attempts()]


@pytest.fixture
async def pair(house: House) -> Pair:
    first, second = (MemoryProvider(Channel.EMAIL, name=new_name(place)) for place in ("first", "second"))
    # As long as in earnest, since a failover has to fit in.
    desk = Desk(house, await planned(house), providers={Channel.EMAIL: (first, second)})
    desk.start_to_close = 30 * SECOND
    return Pair(desk, first, second)


@pytest.mark.parametrize(("error", "outcome"), [(OUTAGE, "transient"), (OUR_FAULT, "rejected_config")], ids=repr)
async def test_the_next_one_sends_at_once(pair: Pair, error: DeliveryError, outcome: str) -> None:
    pair.first.script([error])
    result = await pair.desk.send()
    assert (result.status, result.provider) == (MessageStatus.SENT, pair.second.name)
    assert await pair.outcomes() == [(1, "first", outcome), (2, "second", "accepted")]
    row = await pair.desk.message()
    assert (row.provider, row.stuck_reason, row.reason) == (pair.second.name, None, None)


@pytest.mark.parametrize("policy", ["at_most_once", "at_least_once"])
async def test_never_after_a_lost_answer(pair: Pair, policy: str) -> None:
    async with transaction(pair.desk.house.sessions) as session:
        row = await pair.desk.message()
        row.duplicates = policy
        session.add(row)
    pair.first.script([UnknownOutcome("timeout")])
    if policy == "at_most_once":
        assert (await pair.desk.send()).status is MessageStatus.UNKNOWN
    else:
        assert (await pair.desk.fail()).type == "unknown"
    assert pair.calls == (1, 0)


@pytest.mark.parametrize(
    "error",
    [
        TransientDeliveryError("smtp_450"),
        TransientDeliveryError("smtp_429", retry_after=SECOND),
        PermanentDeliveryError("smtp_550", scope=ErrorScope.RECIPIENT),
        PermanentDeliveryError("smtp_554", scope=ErrorScope.MESSAGE),
    ],
    ids=repr,
)
async def test_what_concerns_the_message_stays_where_it_is(pair: Pair, error: DeliveryError) -> None:
    pair.first.script([error])
    if isinstance(error, TransientDeliveryError):
        await pair.desk.fail()
    else:
        assert (await pair.desk.send()).status is MessageStatus.FAILED
    assert pair.calls == (1, 0)


async def test_stuck_only_when_all_refuse_our_account(pair: Pair) -> None:
    pair.first.script([OUR_FAULT])
    pair.second.script([OUR_FAULT])
    result = await pair.desk.send()
    assert (result.status, result.stuck_reason, pair.calls) == (MessageStatus.PENDING, "smtp_535", (1, 1))


async def test_with_all_of_them_out_it_waits_and_begins_with_the_first_again(pair: Pair) -> None:
    pair.first.script([OUTAGE])
    pair.second.script([OUTAGE])
    assert (await pair.desk.fail()).type == "transient"
    assert (await pair.desk.send(at=T0 + SECOND)).provider == pair.first.name


async def test_without_time_for_another_call_it_is_left_to_the_next_try(pair: Pair) -> None:
    pair.desk.start_to_close = 15 * SECOND
    pair.first.script([OUTAGE])
    assert (await pair.desk.fail()).type == "transient"
    assert pair.calls == (1, 0)
