"""The main turns of a workflow's story, each played to its end on the test server."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from notifications.imports.blocks import Progress
from notifications.statuses import Channel, MessageStatus, RoutingMode
from tests.histories.campaign_turns import CAMPAIGN_TURNS
from tests.support.workflow_world import HOUR, Handle, World, until
from tests.support.workflows import FakeLedger, accepted, failed, stuck, transient
from workflows.commands import RerouteCommand, RetryCommand, SkipCommand
from workflows.notification import NotificationWorkflow


async def done(world: World) -> Handle:
    return await world.start(await world.ledger(Channel.PUSH, Channel.EMAIL))


async def scheduled_and_replanned(world: World) -> Handle:
    return await world.start(await world.ledger(Channel.EMAIL, due_in=5 * HOUR))


async def rescheduled(world: World) -> Handle:
    ledger = await world.ledger(Channel.EMAIL, due_in=5 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "plan 1" in ledger.calls)
        ledger.state = replace(ledger.state, due_at=await world.now())
        await handle.signal(NotificationWorkflow.reschedule)
        await handle.result()
    return handle


async def retried(world: World) -> Handle:
    ledger = await world.ledger(Channel.SMS)
    ledger.answers[Channel.SMS] = [transient(timedelta(minutes=7)), accepted()]
    return await world.start(ledger)


async def fallback(world: World) -> Handle:
    ledger = await world.ledger(Channel.WHATSAPP, Channel.SMS, mode=RoutingMode.FALLBACK)
    ledger.answers[Channel.WHATSAPP] = [failed()]
    return await world.start(ledger)


async def fallback_not_needed(world: World) -> Handle:
    return await world.start(await world.ledger(Channel.WHATSAPP, Channel.SMS, mode=RoutingMode.FALLBACK))


async def fallback_delivered(world: World) -> Handle:
    return await _reported(world, MessageStatus.DELIVERED)


async def fallback_bounced(world: World) -> Handle:
    return await _reported(world, MessageStatus.BOUNCED)


async def fallback_not_reported(world: World) -> Handle:
    return await world.start(await _waiting(world))


async def stuck_and_retried(world: World) -> Handle:
    ledger, handle = await _stuck(world)
    ledger.answers[Channel.EMAIL] = [stuck(), accepted()]
    with world.environment.auto_time_skipping_disabled():
        await handle.signal("retry", "email")
        await until(lambda: ledger.calls.count("report_stuck") == 2)
        await handle.execute_update(NotificationWorkflow.retry_message, RetryCommand(1))
        await handle.result()
    return handle


async def stuck_and_rerouted(world: World) -> Handle:
    _, handle = await _stuck(world)
    with world.environment.auto_time_skipping_disabled():
        await handle.execute_update(NotificationWorkflow.reroute_message, RerouteCommand(1, Channel.SMS))
        await handle.result()
    return handle


async def stuck_and_skipped(world: World) -> Handle:
    _, handle = await _stuck(world)
    with world.environment.auto_time_skipping_disabled():
        await handle.execute_update(NotificationWorkflow.skip_message, SkipCommand(1))
        await handle.result()
    return handle


async def expired(world: World) -> Handle:
    ledger = await world.ledger(Channel.EMAIL, expires_in=3 * HOUR)
    ledger.answers[Channel.EMAIL] = [stuck()]
    return await world.start(ledger)


async def cancelled(world: World) -> Handle:
    ledger = await world.ledger(Channel.EMAIL, due_in=5 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "plan 1" in ledger.calls)
        ledger.cancel()
        await handle.signal(NotificationWorkflow.cancel)
        await handle.result()
    return handle


async def cancelled_in_backoff(world: World) -> Handle:
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [transient(HOUR)]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: len(ledger.sends) == 1)
        await handle.signal(NotificationWorkflow.delivery_retrying)
        ledger.cancel()
        await handle.signal(NotificationWorkflow.cancel)
        await handle.result()
    return handle


async def cancelled_from_the_ui(world: World) -> Handle:
    ledger = await world.ledger(Channel.EMAIL, due_in=5 * HOUR)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "plan 1" in ledger.calls)
        await handle.cancel()
        await handle.result()
    return handle


async def resent(world: World) -> Handle:
    ledger = await world.ledger(Channel.EMAIL)
    ledger.change(1, round=2)
    return await world.resend(ledger, 2)


async def _waiting(world: World) -> FakeLedger:
    return await world.ledger(Channel.WHATSAPP, Channel.SMS, mode=RoutingMode.FALLBACK, wait_for_receipt=HOUR / 12)


async def _reported(world: World, status: MessageStatus) -> Handle:
    ledger = await _waiting(world)
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "expect_receipt" in ledger.calls)
        ledger.change(1, status=status)
        await handle.signal(NotificationWorkflow.reschedule)
        await handle.result()
    return handle


async def imported(world: World) -> Handle:
    """Its activity stops twice to let others go first."""
    return await world.start_import(*(Progress(rows, 6_000, finished=rows == 6_000) for rows in (2_000, 4_000, 6_000)))


async def _stuck(world: World) -> tuple[FakeLedger, Handle]:
    ledger = await world.ledger(Channel.EMAIL)
    ledger.answers[Channel.EMAIL] = [stuck()]
    with world.environment.auto_time_skipping_disabled():
        handle = await world.start(ledger)
        await until(lambda: "report_stuck" in ledger.calls)
    return ledger, handle


TURNS: dict[str, Callable[[World], Awaitable[Handle]]] = {
    turn.__name__: turn
    for turn in (
        done,
        scheduled_and_replanned,
        rescheduled,
        retried,
        fallback,
        fallback_not_needed,
        fallback_delivered,
        fallback_bounced,
        fallback_not_reported,
        stuck_and_retried,
        stuck_and_rerouted,
        stuck_and_skipped,
        expired,
        cancelled,
        cancelled_in_backoff,
        cancelled_from_the_ui,
        resent,
        imported,
        *CAMPAIGN_TURNS,
    )
}
