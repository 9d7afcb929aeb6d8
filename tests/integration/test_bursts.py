"""Much at once: all of it arrives, in bounded portions, and what is urgent goes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from prometheus_client import REGISTRY
from temporalio.api.enums.v1 import EventType
from temporalio.worker import UnsandboxedWorkflowRunner

from bridge.producer import EventProducer
from notifications.database import execute
from notifications.ids import event_uuid
from notifications.statuses import Channel
from tests.bridge.running import TRANSACTIONAL, Bench, count
from tests.support.events import event
from tests.support.integration import House, running_house, until
from tests.support.postgres import fresh_database
from tests.support.servers import settle_temporal
from worker.roles import Role

OTP = {"type": "auth.otp", "data": {"code": "482915"}}
LOGIN = {
    "type": "security.new_login",
    "data": {"device": "Firefox", "signed_in_at": "2026-11-22T10:15:00Z", "review_url": "https://acme.example/r"},
}
CART = {
    "type": "cart.abandoned",
    "data": {
        "items": [{"name": "Kettle", "price": "39.90"}],
        "total": "39.90",
        "currency": "EUR",
        "cart_url": "https://acme.example/cart",
    },
}
# A busy machine may end a local activity just when its time is over, of which the SDK warns.
pytestmark = pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning")
_TIMEOUTS = {EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT, EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT}


@pytest.fixture
async def room(postgres_server: str, temporal_address: str) -> AsyncIterator[House]:
    """A house of each test's own, without workers."""
    async with fresh_database(postgres_server) as url, running_house(temporal_address, url) as house:
        yield house
    await settle_temporal()


async def _bench(stack: AsyncExitStack, room: House, bootstrap: str) -> Bench:
    """The bridge's side of the same house."""
    assert room.settings.database_url is not None
    producer = await stack.enter_async_context(EventProducer({"bootstrap.servers": bootstrap}))
    url = room.settings.database_url.get_secret_value()
    bench = Bench(bootstrap, url, room.sessions, room.client, producer)
    await bench.prepare()
    return bench


@pytest.mark.timeout(600)
async def test_a_thousand_events_at_once_all_arrive(room: House, kafka_bootstrap: str) -> None:
    recipient = await room.recipient()
    events = [event(recipient=recipient, **OTP) for _ in range(1_000)]
    async with AsyncExitStack() as stack:
        bench = await _bench(stack, room, kafka_bootstrap)
        for worker in room.workers(Role.ORCHESTRATOR, Role.SMS, runner=UnsandboxedWorkflowRunner()):
            await stack.enter_async_context(worker)
        await stack.enter_async_context(bench.bridge(max_untried=100))
        await asyncio.gather(*(bench.send(one, key=str(one["id"])) for one in events))
        most_unplanned = most_in_flight = 0

        async def all_done() -> bool:
            nonlocal most_unplanned, most_in_flight
            unplanned = "SELECT count(*) FROM notifications WHERE started_at IS NOT NULL AND due_at IS NULL"
            most_unplanned = max(most_unplanned, await count(room.sessions, unplanned))
            labels = {"group": "tidings-urgent"}
            most_in_flight = max(
                most_in_flight, int(REGISTRY.get_sample_value("tidings_bridge_in_flight", labels) or 0)
            )
            return await count(room.sessions, "SELECT count(*) FROM notifications WHERE status = 'done'") == 1_000

        await until(all_done, seconds=540)
    sent = [one.idempotency_key for one in room.providers[Channel.SMS].sent]
    assert len(sent) == len(set(sent)) == 1_000
    # The gate closes at 100 once they are counted; what had been read by then still starts.
    assert most_in_flight <= 500
    assert most_unplanned <= 100 + most_in_flight
    for one in events[::40]:
        history = await room.handle(event_uuid(one["source"], one["id"])).fetch_history()
        assert not [found for found in history.events if found.event_type in _TIMEOUTS]


async def test_a_one_time_code_overtakes_a_queue_of_offers(room: House, kafka_bootstrap: str) -> None:
    """Nobody serves the queues: what counts is the order in which the bridge starts them."""
    offers = [event(recipient="cus_42", **CART) for _ in range(300)]
    code = event(recipient="cus_42", **OTP)
    async with AsyncExitStack() as stack:
        bench = await _bench(stack, room, kafka_bootstrap)
        await asyncio.gather(*(bench.send(one, "promotional.notifications", key=str(one["id"])) for one in offers))
        await stack.enter_async_context(bench.bridge())

        async def is_under_way() -> bool:
            return await count(room.sessions, "SELECT count(*) FROM notifications WHERE type = 'promotional'") > 0

        await until(is_under_way)
        await bench.send(code, TRANSACTIONAL)

        async def is_started() -> bool:
            return bool(await bench.started(code))

        await until(is_started, seconds=60)
        row = await bench.started(code)
        overtaken = "SELECT count(*) FROM notifications WHERE type = 'promotional' AND started_at < :at"
        assert await count(room.sessions, overtaken, at=row.started_at) < 200


async def test_an_alert_overtakes_waiting_transactional_ones(room: House) -> None:
    """All wait in one queue: Temporal hands them out by priority."""
    recipient = await room.recipient()
    for _ in range(30):
        await room.send(recipient=recipient, **OTP)
    alert = await room.send(recipient=recipient, **LOGIN)
    async with AsyncExitStack() as stack:
        for worker in room.workers():
            await stack.enter_async_context(worker)
        await room.result(alert)
        async with room.sessions() as session:
            statement = """
                SELECT count(*) FROM plans p JOIN notifications n ON n.id = p.notification_id
                WHERE n.type = 'transactional' AND p.created_at < (SELECT created_at FROM plans
                                                                   WHERE notification_id = :alert)
            """
            planned_before = (await execute(session, statement, {"alert": alert})).scalar_one()
        assert planned_before <= 20, "those that were handed out when the alert was"
