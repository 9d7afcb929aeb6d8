"""Sending while an operator has paused the provider: no call, no attempt, a later look, and on after resume."""

from datetime import timedelta

from notifications.database import transaction
from notifications.provider_accounts import ProviderAccounts
from notifications.providers.memory import MemoryProvider
from notifications.settings import Settings
from notifications.statuses import Channel, MessageStatus
from tests.activities.desk import SECOND, T0, Desk, new_name, planned
from tests.support.integration import House


async def test_nothing_is_sent_until_it_is_resumed(house: House) -> None:
    provider = MemoryProvider(Channel.EMAIL, name=new_name("provider"))
    settings = Settings(email_providers=(provider.name,))
    desk = Desk(house, await planned(house), providers={Channel.EMAIL: (provider,)})
    async with transaction(house.sessions) as session:
        await ProviderAccounts(session, settings).pause(provider.name, paused_by="ana")
    error = await desk.fail()
    assert (error.type, error.non_retryable) == ("ProviderPaused", False)
    assert error.next_retry_delay is not None
    assert timedelta(seconds=4) < error.next_retry_delay < timedelta(minutes=5)
    assert provider.name in error.message
    assert (provider.calls, await desk.attempts()) == (0, [])
    async with transaction(house.sessions) as session:
        await ProviderAccounts(session, settings).resume(provider.name)
    assert (await desk.send(at=T0 + SECOND)).status is MessageStatus.SENT
    assert [row.attempt for row in await desk.attempts()] == [1]


async def test_the_next_in_order_sends_for_a_paused_one(house: House) -> None:
    first, second = (MemoryProvider(Channel.EMAIL, name=new_name(place)) for place in ("first", "second"))
    desk = Desk(house, await planned(house), providers={Channel.EMAIL: (first, second)})
    settings = Settings(email_providers=(first.name, second.name))
    async with transaction(house.sessions) as session:
        await ProviderAccounts(session, settings).pause(first.name, paused_by="ana")
    result = await desk.send()
    assert (result.status, result.provider) == (MessageStatus.SENT, second.name)
    assert (first.calls, second.calls) == (0, 1)
