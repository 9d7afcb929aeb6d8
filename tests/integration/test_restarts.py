"""Activity reset, workflow reset, terminate and restart, each while a provider has the message in its hands.

What is in the ledger decides. While the call may still be answered, nobody else begins one. Once it must have ended,
at_least_once sends once more under the same key, at_most_once ends as `unknown`, and the late answer of the call that
everybody gave up is recorded in either case.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.common import WorkflowIDReusePolicy

from activities.temporal import orchestrator_queue
from notifications.database import transaction
from notifications.ledger import CALL_WINDOW
from notifications.providers.base import ErrorScope, PermanentDeliveryError, TransientDeliveryError
from notifications.statuses import Channel, NotificationType
from notifications.tables import Message
from tests.support.integration import Hold, House, until
from tests.support.reconciling import reset_workflow
from workflows.notification import NotificationInput, NotificationWorkflow
from workflows.resend import ResendInput, ResendWorkflow

OTP: dict[str, Any] = {"type": "auth.otp", "data": {"code": "482915"}}
CART: dict[str, Any] = {
    "type": "cart.abandoned",
    "data": {
        "items": [{"name": "Socks", "price": "25.80"}],
        "total": "25.80",
        "currency": "EUR",
        "cart_url": "https://acme.example/basket/1",
    },
}
SHIPPED: dict[str, Any] = {
    "type": "order.shipped",
    "data": {"order_id": "2207", "carrier": "DHL", "tracking_url": "https://acme.example/t/2207"},
}
Interruption = Callable[[House, UUID], Awaitable[None]]


async def terminate_and_restart(house: House, notification: UUID) -> None:
    await house.handle(notification).terminate("a test")
    row = await house.notification(notification)
    await house.client.start_workflow(
        NotificationWorkflow.run,
        NotificationInput(str(notification)),
        id=house.handle(notification).id,
        task_queue=orchestrator_queue(NotificationType(row.type)),
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )


@pytest.mark.parametrize("interrupt", [reset_workflow, terminate_and_restart])
async def test_at_least_once_is_sent_once_more_under_the_same_key(house: House, interrupt: Interruption):
    provider = house.providers[Channel.SMS]
    zombie = provider.hold_next()
    notification = await house.send(recipient=await house.recipient(), **OTP)
    await zombie.begun.wait()
    await _give_up_the_call(house, notification)
    await interrupt(house, notification)
    assert await house.result(notification) == "done"
    zombie.release.set()
    await _until_attempts(house, notification, [(1, 1, "accepted"), (1, 2, "accepted")])
    keys = {sent.idempotency_key for sent in house.accepted(Channel.SMS, notification)}
    assert len(keys) == 1
    assert await house.statuses(notification) == {"sms": "sent"}


@pytest.mark.parametrize("interrupt", [reset_workflow, terminate_and_restart])
async def test_at_most_once_ends_unknown_until_the_late_answer_comes(house: House, interrupt: Interruption):
    notification, zombie = await _held_cart(house)
    await _give_up_the_call(house, notification)
    await interrupt(house, notification)
    assert await house.result(notification) == "done"
    assert await house.statuses(notification) == {"email": "unknown"}
    zombie.release.set()
    await _until_attempts(house, notification, [(1, 1, "accepted")])
    assert await house.statuses(notification) == {"email": "sent"}
    assert len(house.accepted(Channel.EMAIL, notification)) == 1


@pytest.mark.parametrize("interrupt", [reset_workflow, terminate_and_restart])
async def test_a_call_that_is_answered_after_all_is_not_made_again(house: House, interrupt: Interruption):
    hold = house.providers[Channel.SMS].hold_next()
    notification = await house.send(recipient=await house.recipient(), **OTP)
    await hold.begun.wait()
    await interrupt(house, notification)
    await until(lambda: _is_tried_again(house, notification))
    hold.release.set()
    assert await house.result(notification) == "done"
    assert await house.attempts(notification) == [(1, 1, "accepted")]
    assert len(house.accepted(Channel.SMS, notification)) == 1


async def test_a_reset_of_an_activity_whose_call_has_begun_sends_nothing_twice(house: House):
    notification, hold = await _held_cart(house)
    await _reset_activity(house, notification)
    hold.release.set()
    assert await house.result(notification) == "done"
    assert await house.attempts(notification) == [(1, 1, "accepted")]


async def test_a_reset_of_an_activity_in_backoff_tries_at_once(house: House):
    busy = TransientDeliveryError("twilio_429", retry_after=timedelta(seconds=15))
    house.providers[Channel.SMS].script([busy])
    notification = await house.send(recipient=await house.recipient(), **OTP)
    await _until_attempts(house, notification, [(1, 1, "transient")])

    async def is_in_backoff() -> bool:
        pending = (await house.handle(notification).describe()).raw_description.pending_activities
        return bool(pending) and pending[0].HasField("last_failure")

    await until(is_in_backoff)
    async with asyncio.timeout(10):
        await _reset_activity(house, notification)
        assert await house.result(notification) == "done"
    assert await house.attempts(notification) == [(1, 1, "transient"), (1, 2, "accepted")]


async def test_a_reset_workflow_delivers_what_a_reroute_made_before(house: House):
    """The plan that the new run gets from its history does not know the rerouted message."""
    wrong_account = PermanentDeliveryError("twilio_20003", scope=ErrorScope.CONFIG)
    refused = PermanentDeliveryError("meta_131026", scope=ErrorScope.RECIPIENT)
    house.providers[Channel.WHATSAPP].script([refused, wrong_account])
    house.providers[Channel.SMS].script([wrong_account])
    notification = await house.send(recipient=await house.recipient(), **SHIPPED)
    await house.until_stuck(notification)
    await house.handle(notification).execute_update("reroute", {"seq": 2, "channel": "whatsapp"})

    async def is_the_new_one_stuck() -> bool:
        return [message.stuck_reason is not None for message in await house.messages(notification)][2:] == [True]

    await until(is_the_new_one_stuck)
    await reset_workflow(house, notification, task=2)

    async def is_waited_for() -> bool:
        return "message 3" in await _details(house, notification)

    await until(is_waited_for)
    await house.handle(notification).signal("retry")
    assert await house.result(notification) == "done"
    assert [message.status for message in await house.messages(notification)] == ["failed", "skipped", "sent"]


async def test_an_unknown_one_is_sent_again_on_an_operators_word(house: House):
    notification, zombie = await _held_cart(house)
    await _give_up_the_call(house, notification)
    await terminate_and_restart(house, notification)
    assert await house.result(notification) == "done"
    round_number = await house.ledger.raise_round_for_duplicate(notification, 1)
    assert round_number == 2
    status = await house.client.execute_workflow(
        ResendWorkflow.run,
        ResendInput(str(notification), 1, round_number),
        id=f"{house.handle(notification).id}-resend-1-2",
        task_queue=orchestrator_queue(NotificationType.PROMOTIONAL),
    )
    assert status == "sent"
    zombie.release.set()
    await _until_attempts(house, notification, [(1, 1, "accepted"), (1, 2, "accepted")])


async def _held_cart(house: House) -> tuple[UUID, Hold]:
    """A promotional e-mail (at_most_once) that the provider has in its hands."""
    recipient = await house.recipient()
    await house.opt_in(recipient, "offers", Channel.EMAIL)
    hold = house.providers[Channel.EMAIL].hold_next()
    notification = await house.send(recipient=recipient, **CART)
    await hold.begun.wait()
    return notification, hold


async def _give_up_the_call(house: House, notification: UUID) -> None:
    """As if it had begun so long ago that it must have ended."""
    async with transaction(house.sessions) as session:
        for message in await session.exec(select(Message).where(Message.origin_id == notification)):
            if message.claimed_at is not None:
                message.claimed_at -= CALL_WINDOW


async def _is_tried_again(house: House, notification: UUID) -> bool:
    """The new run's try was told that the call may still be under way."""
    pending = (await house.handle(notification).describe()).raw_description.pending_activities
    return any(activity.HasField("last_failure") for activity in pending)


async def _reset_activity(house: House, notification: UUID) -> None:
    await house.client.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=house.client.namespace,
            execution=WorkflowExecution(workflow_id=house.handle(notification).id),
            type="send",
        )
    )


async def _until_attempts(house: House, notification: UUID, attempts: list[tuple[int, int, str]]) -> None:
    async def are_recorded() -> bool:
        return await house.attempts(notification) == attempts

    await until(are_recorded)


async def _details(house: House, notification: UUID) -> str:
    """What the Temporal UI shows as the current details."""
    metadata = await house.handle(notification).query("__temporal_workflow_metadata")
    return str(metadata["currentDetails"] if isinstance(metadata, dict) else metadata.current_details)
