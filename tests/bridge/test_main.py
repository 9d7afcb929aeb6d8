"""The whole bridge on real servers: good records are started, bad ones between them are rejected, none is lost."""

from notifications.ids import event_uuid
from tests.bridge.running import EXTRA_TOPIC, Bench, eventually
from tests.support.events import event

_DATA = {"payment_id": "pay_1", "amount": "49.90", "currency": "EUR"}


async def test_good_records_are_started_and_bad_ones_between_them_rejected(bench: Bench) -> None:
    events = [event(data=_DATA) for _ in range(5)]
    places = []
    async with bench.bridge():
        for one in events:
            await bench.send(one, key="same-partition")
            places.append(await bench.send(b'{"specversion": "1.0", "id": 1e400000}', key="same-partition"))
        for one in events:
            await eventually(lambda one=one: bench.started(one))
        for place in places:
            rejected = await eventually(lambda place=place: bench.rejection(place))
            assert rejected.reason == "unusable_number"
    assert await bench.lag() == 0
    assert await bench.workflows([event_uuid(one["source"], one["id"]) for one in events]) == len(events)


async def test_what_the_workflow_tells_people_and_searches(bench: Bench) -> None:
    sent = event(data=_DATA, recipient="cus_42")
    async with bench.bridge(public_url="https://tidings.example/"):
        await bench.send(sent, EXTRA_TOPIC)
        row = await eventually(lambda: bench.started(sent))
    description = await bench.client.get_workflow_handle(f"notification-{row.id}").describe()
    attributes = {key.key.name: key.value for key in description.typed_search_attributes.search_attributes}
    assert attributes["NotificationType"] == "transactional"
    assert attributes["Definition"] == "payment.succeeded"
    assert attributes["RecipientRef"] == row.recipient_ref
    assert await description.static_summary() == f"payment.succeeded for recipient {row.recipient_ref[:8]}…"
    assert f"https://tidings.example/v1/notifications/{row.id}" in (await description.static_details() or "")
    assert description.task_queue == "orchestrator"
