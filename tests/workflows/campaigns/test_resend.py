"""Sending one `unknown` message of a campaign once more, which nobody waits for."""

from datetime import timedelta

import pytest

from notifications.statuses import Channel, MessageStatus
from tests.support.workflow_world import HOUR, World, until
from tests.support.workflows import FakeLedger, accepted, failed, transient


@pytest.fixture
async def ledger(world: World) -> FakeLedger:
    """Of a campaign that has completed; its message is free for its second round."""
    ledger = await world.ledger(Channel.EMAIL, expires_in=HOUR)
    ledger.change(1, round=2)
    return ledger


async def test_it_is_sent_in_the_round_that_was_raised(world: World, ledger: FakeLedger):
    assert await (await world.resend_of_campaign(ledger, 2)).result() == "sent"
    assert [(request.round, request.stick) for request in ledger.sends] == [(2, False)]


async def test_what_would_be_stuck_ends_as_failed(world: World, ledger: FakeLedger):
    ledger.answers[Channel.EMAIL] = [failed()]
    assert await (await world.resend_of_campaign(ledger, 2)).result() == "failed"


async def test_a_call_whose_worker_is_lost_is_settled_and_not_left_sending(world: World, ledger: FakeLedger):
    ledger.answers[Channel.EMAIL] = [transient(timedelta(minutes=40))]
    looks = 0

    def lose() -> None:
        """The row is `sending` at its expiry, and the ledger gives it up some looks later."""
        nonlocal looks
        looks += 1
        ledger.change(1, status=MessageStatus.SENDING if looks < 3 else MessageStatus.UNKNOWN)

    ledger.on_expire = lose
    assert await (await world.resend_of_campaign(ledger, 2)).result() == "unknown"
    assert looks == 3
    assert await world.now() >= ledger.state.expires_at


async def test_a_cancel_from_the_ui_withdraws_what_has_not_begun(world: World, ledger: FakeLedger):
    ledger.answers[Channel.EMAIL] = [transient(timedelta(minutes=5)), accepted()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.resend_of_campaign(ledger, 2)
        await until(lambda: len(ledger.sends) == 1)
        await handle.cancel()
        await until(lambda: "withdraw" in ledger.calls)
    assert await handle.result() == "cancelled"
    assert len(ledger.sends) == 1
