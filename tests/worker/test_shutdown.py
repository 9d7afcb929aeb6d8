"""A worker that is told to stop sees begun sends to their end; one that starts finds what came before."""

import asyncio

import pytest

from notifications.statuses import Channel
from tests.support.integration import House
from worker.roles import Role


async def test_a_begun_send_ends_and_is_recorded_before_the_worker_stops(house: House):
    provider = house.providers[Channel.SMS]
    hold = provider.hold_next()
    orchestrator, sms = house.workers(Role.ORCHESTRATOR, Role.SMS)
    async with orchestrator:
        async with sms:
            notification = await house.send(type="auth.otp", recipient=await house.recipient(), data={"code": "482915"})
            await hold.begun.wait()
            stopping = asyncio.create_task(sms.shutdown())
            with pytest.raises(TimeoutError):  # it waits for the call
                await asyncio.wait_for(asyncio.shield(stopping), timeout=0.5)
            hold.release.set()
            await stopping
            assert await house.attempts(notification) == [(1, 1, "accepted")]
        assert await house.result(notification) == "done"
    assert len(house.accepted(provider.channel, notification)) == 1


async def test_a_cancel_from_the_ui_before_any_worker_ran_is_recorded(house: House):
    """The first task brings the start and the cancellation together."""
    notification = await house.send(type="auth.otp", recipient=await house.recipient(), data={"code": "482915"})
    await house.handle(notification).cancel()
    orchestrator, sms = house.workers(Role.ORCHESTRATOR, Role.SMS)
    async with orchestrator, sms:
        assert await house.result(notification) == "cancelled"
    assert await house.statuses(notification) == {"sms": "cancelled"}
