"""Rejected events are mended and replayed: never lost, never twice."""

import base64
import json
from typing import Any

import pytest
from httpx import AsyncClient
from typing_extensions import override

from api.context import ApiContext
from api.memory import MemoryPublisher
from api.replays import Replayer, record_of
from bridge.producer import ProduceError
from notifications.database import Sessions
from notifications.events import Record, parse
from notifications.tables import RejectedEvent
from tests.api.support import SOURCE, event, notification_row, rejected_row, save, unique


async def _rejected(sessions: Sessions, sent: Any = None, **changes: Any) -> RejectedEvent:
    sent = event(type="payment.suceeded") if sent is None else sent
    value = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    event_id = sent["id"] if isinstance(sent, dict) else unique("pay")
    row = rejected_row(event_id, **{"value": value, "source": SOURCE} | changes)
    await save(sessions, row)
    return row


async def _state(client: AsyncClient, row: RejectedEvent) -> str:
    return str((await client.get(f"/v1/rejected-events/{row.id}")).json()["state"])


async def test_a_patch_mends_it(client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher) -> None:
    row = await _rejected(sessions)
    answer = await client.post(f"/v1/rejected-events/{row.id}/replay", json={"patch": {"type": "payment.succeeded"}})
    assert answer.status_code == 202, answer.text
    assert (answer.json()["replayed_as"], answer.json()["produced"]) == (row.event_id, True)
    (record,) = publisher.records
    assert (record.topic, record.key) == ("transactional.notifications", "cus_42")
    replayed = json.loads(record.value)
    assert replayed["replayof"] == f"{row.topic}/1000/{row.offset}", "it names the old one"
    assert (replayed["id"], replayed["type"]) == (row.event_id, "payment.succeeded")
    assert parse(Record(value=record.value)).id == row.event_id
    assert await _state(client, row) == "replayed"


async def test_repeating_it_produces_nothing(
    client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher
) -> None:
    row = await _rejected(sessions)
    body = {"patch": {"type": "payment.succeeded"}}
    first = (await client.post(f"/v1/rejected-events/{row.id}/replay", json=body)).json()
    second = (await client.post(f"/v1/rejected-events/{row.id}/replay", json=body)).json()
    assert (first.pop("produced"), second.pop("produced")) == (True, False)
    assert first == second
    assert len(publisher.records) == 1


async def test_as_it_came_on_the_right_topic(
    client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher
) -> None:
    row = await _rejected(sessions, event(type="cart.abandoned"), reason="wrong_topic", topic=unique("wrong"))
    assert (await client.post(f"/v1/rejected-events/{row.id}/replay")).status_code == 202
    assert publisher.records[0].topic == "promotional.notifications"


async def test_binary_mode(client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher) -> None:
    attributes = {"specversion": "1.0", "id": unique("pay"), "source": SOURCE, "type": "payment.succeeded"}
    headers = [[f"ce_{name}", base64.b64encode(value.encode()).decode()] for name, value in attributes.items()]
    row = await _rejected(sessions, b'{"amount": "1.00"}', headers=headers)
    patch = {"data": {"payment_id": "pay_1", "amount": None}}
    answer = await client.post(f"/v1/rejected-events/{row.id}/replay", json={"patch": patch})
    assert answer.status_code == 202, answer.text
    sent = json.loads(publisher.records[0].value)
    assert (sent["id"], sent["data"]) == (attributes["id"], {"payment_id": "pay_1"})


async def test_what_cannot_be_read_takes_a_whole_event(
    client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher
) -> None:
    row = await _rejected(sessions, b"\xff{", source=None)
    refused = await client.post(f"/v1/rejected-events/{row.id}/replay", json={"patch": {"id": "a"}})
    assert refused.status_code == 422
    assert "give the whole event" in refused.json()["detail"]
    mended = event()
    answer = await client.post(f"/v1/rejected-events/{row.id}/replay", json={"event": mended})
    assert answer.json()["replayed_as"] == mended["id"]
    assert len(publisher.records) == 1


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({}, "did you mean payment.succeeded"),
        ({"type": "payment.succeeded", "data": {"payment_id": 7}}, "data.payment_id"),
        ({"id": None}, "the attribute id is missing"),
        ({"type": "payment.succeeded", "data": {"payment_id": "x" * 270_000}}, "at most 262144"),
        ({"recipient": "\ud800"}, "surrogate"),
    ],
)
async def test_one_that_is_still_wrong_is_not_produced(
    client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher, patch: dict[str, Any], words: str
) -> None:
    row = await _rejected(sessions)
    answer = await client.post(
        f"/v1/rejected-events/{row.id}/replay",
        content=json.dumps({"patch": patch}),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in {413, 422}
    assert words in answer.json()["detail"] or answer.status_code == 413
    assert not publisher.records
    assert await _state(client, row) == "open"


async def test_an_id_that_stands_for_another_event_is_refused(
    client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher
) -> None:
    sent = event()
    row = await _rejected(sessions, sent, reason="id_reused")
    await save(sessions, notification_row(sent["id"]))
    refused = await client.post(f"/v1/rejected-events/{row.id}/replay")
    assert (refused.status_code, refused.json()["reason"]) == (422, "id_reused")
    own = unique("pay")
    answer = await client.post(f"/v1/rejected-events/{row.id}/replay", json={"patch": {"id": own}})
    assert answer.json()["replayed_as"] == own


async def test_kafka_away_keeps_the_id_and_the_same_request_again_is_safe(
    client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher
) -> None:
    row = await _rejected(sessions)
    body = {"patch": {"type": "payment.succeeded"}}
    publisher.failure = ProduceError("no answer")
    assert (await client.post(f"/v1/rejected-events/{row.id}/replay", json=body)).status_code == 503
    assert await _state(client, row) == "open"
    publisher.failure = None
    other = {"patch": {"type": "payment.succeeded", "id": "other"}}
    refused = await client.post(f"/v1/rejected-events/{row.id}/replay", json=other)
    assert refused.status_code == 409, "the first may have arrived: two ids would be two notifications"
    assert (await client.post(f"/v1/rejected-events/{row.id}/replay", json=body)).json()["produced"] is True


async def test_dying_between_producing_and_writing_it_down(
    client: AsyncClient, context: ApiContext, sessions: Sessions, publisher: MemoryPublisher
) -> None:
    row = await _rejected(sessions)
    assert row.id is not None

    class Dying(MemoryPublisher):
        @override
        async def produce(self, *args: Any, **more: Any) -> tuple[int, int]:
            await publisher.produce(*args, **more)
            raise KeyboardInterrupt

    dying = Replayer(sessions, context.catalogue, context.interpreter, Dying())
    patch = {"type": "payment.succeeded"}
    with pytest.raises(KeyboardInterrupt):
        await dying.replay(row.id, patch=patch)
    again = await client.post(f"/v1/rejected-events/{row.id}/replay", json={"patch": patch})
    assert again.json()["produced"] is True
    first, second = publisher.records
    assert first.value == second.value, "the bridge knows the second for a repeat"


async def test_giving_up(client: AsyncClient, sessions: Sessions, publisher: MemoryPublisher) -> None:
    row = await _rejected(sessions, event())
    path = f"/v1/rejected-events/{row.id}"
    first = (await client.post(f"{path}/give-up", json={"by": "ana"})).json()
    assert (first["state"], first["given_up_by"]) == ("given_up", "ana")
    assert (await client.post(f"{path}/give-up", json={"by": "bob"})).json() == first
    refused = await client.post(f"{path}/replay")
    assert refused.status_code == 409
    assert "ana" in refused.json()["detail"]
    assert not publisher.records
    assert (await client.post(f"{path}/give-up", json={})).status_code == 422, "somebody has to say so"


async def test_what_was_replayed_is_not_given_up(client: AsyncClient, sessions: Sessions) -> None:
    row = await _rejected(sessions, event())
    path = f"/v1/rejected-events/{row.id}"
    assert (await client.post(f"{path}/replay")).status_code == 202
    assert (await client.post(f"{path}/give-up", json={"by": "ana"})).status_code == 409


async def test_states_filter(client: AsyncClient, sessions: Sessions) -> None:
    source = unique("https://acme.example")
    rows = [await _rejected(sessions, event(source=source), source=source) for _ in range(3)]
    await client.post(f"/v1/rejected-events/{rows[0].id}/replay")
    await client.post(f"/v1/rejected-events/{rows[1].id}/give-up", json={"by": "ana"})
    for state, row in zip(("replayed", "given_up", "open"), rows, strict=True):
        found = (await client.get("/v1/rejected-events", params={"source": source, "state": state})).json()["items"]
        assert [item["id"] for item in found] == [row.id]


@pytest.mark.parametrize("action", ["replay", "give-up"])
async def test_unknown(client: AsyncClient, action: str) -> None:
    answer = await client.post(
        f"/v1/rejected-events/999999999/{action}", json={"by": "ana"} if "give" in action else {}
    )
    assert answer.status_code == 404


async def test_event_and_patch_exclude_each_other(client: AsyncClient, sessions: Sessions) -> None:
    row = await _rejected(sessions)
    both = {"event": event(), "patch": {}}
    assert (await client.post(f"/v1/rejected-events/{row.id}/replay", json=both)).status_code == 422


def test_the_record_is_given_back_as_it_came() -> None:
    row = rejected_row("a", key=b"k", value=b"v", headers=[["x", "YQ=="], ["y", None]])
    record = record_of(row)
    assert (record.key, record.value, record.headers) == (b"k", b"v", (("x", b"a"), ("y", None)))
