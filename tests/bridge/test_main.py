"""The whole bridge on real servers: good records are started, bad ones between them are rejected, none is lost."""

import json

from prometheus_client import REGISTRY

from tests.bridge.running import EXTRA_TOPIC, Bench, eventually
from tests.support.events import event, unique

_CART = {
    "items": [{"name": "Socks", "price": "25.80"}],
    "total": "25.80",
    "currency": "EUR",
    "cart_url": "https://acme.example/basket/1",
}
_OTP = {"code": "482915", "valid_minutes": 5}


def _with_data(text: str) -> bytes:
    return f'{{"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": {text}}}'.encode()


_BAD = {
    "unusable_text": [_with_data('"\\u0000"'), _with_data('"\\ud800"'), _with_data('{"\\udfff": 1}')],
    "unusable_number": [_with_data("1e400000"), _with_data("NaN"), _with_data("9" * 400)],
    "bad_attribute": [json.dumps(event(id="x" * 12_000)).encode()],
    "too_deep": [_with_data("[" * 10_000 + "]" * 10_000)],
    "not_json": [b"", b"\xff\x00", b"{"],
    "too_large": [b" " * 300_000],
    "tombstone": [None],
    "unknown_type": [json.dumps(event(type="payment.succeded")).encode()],
    "wrong_topic": [json.dumps(event(type="cart.abandoned")).encode()],
    "schema": [json.dumps(event(data={"amount": 1})).encode()],
}


async def test_good_records_are_started_and_bad_ones_between_them_rejected(bench: Bench) -> None:
    good, places = [], []
    async with bench.bridge():
        for reason, values in _BAD.items():
            for value in values:
                good.append(event())
                await bench.send(good[-1], key="same-partition")
                places.append((await bench.send(value, key="same-partition"), reason, value))
        for one in good:
            await eventually(lambda one=one: bench.started(one))
        for place, reason, value in places:
            rejected = await eventually(lambda place=place: bench.rejection(place))
            assert (rejected.reason, rejected.value) == (reason, value)
    assert await bench.lag() == 0
    assert all([await bench.has_workflow(one) for one in good])


async def test_what_the_workflow_tells_people_and_searches(bench: Bench) -> None:
    sent = event(recipient="cus_42")
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


async def test_a_flood_of_promotions_pauses_promotions_only(bench: Bench) -> None:
    await bench.try_all()
    flood = [event(type="cart.abandoned", data=_CART) for _ in range(8)]
    async with bench.bridge(max_untried=3):
        await bench.send(flood[0], "promotional.notifications", key="k")
        await eventually(lambda: bench.started(flood[0]))
        await bench.send(flood[1], "promotional.notifications", key="k")
        await bench.send(flood[2], "promotional.notifications", key="k")

        async def paused() -> bool:
            labels = {"group": "tidings-promotional", "reason": "untried"}
            return bool(REGISTRY.get_sample_value("tidings_bridge_paused_partitions", labels))

        await eventually(paused, what="a pause")
        for one in flood[3:]:
            await bench.send(one, "promotional.notifications", key="k")
        urgent = event(type="auth.otp", data=_OTP, id=unique())
        await bench.send(urgent)
        await eventually(lambda: bench.started(urgent))
        assert await bench.row(flood[-1]) is None
        await bench.try_all()
        await eventually(lambda: bench.started(flood[-1]))
