import json

from httpx import AsyncClient

from api.memory import MemoryPublisher
from bridge.producer import ProduceError
from notifications.database import Sessions
from notifications.events import Record, parse
from notifications.ids import event_uuid
from tests.api.support import SOURCE, attempt_row, event, message_row, notification_row, rejected_row, save, unique


class TestPostEvent:
    async def test_it_is_produced_to_the_topic_of_its_definition(
        self, client: AsyncClient, publisher: MemoryPublisher
    ) -> None:
        sent = event()
        answer = await client.post("/v1/events", json=sent)
        assert answer.status_code == 202
        notification_id = str(event_uuid(SOURCE, sent["id"]))
        assert answer.json()["notification_id"] == notification_id
        assert answer.headers["location"] == f"/v1/notifications/{notification_id}"
        (record,) = publisher.records
        assert (record.topic, record.key) == ("transactional.notifications", "cus_42")
        assert json.loads(record.value) == sent
        assert record.headers == (("content-type", b"application/cloudevents+json"),)

    async def test_the_body_is_produced_as_it_came(self, client: AsyncClient, publisher: MemoryPublisher) -> None:
        raw = json.dumps(event(), indent=3).encode()
        await client.post("/v1/events", content=raw, headers={"content-type": "application/cloudevents+json"})
        assert publisher.records[0].value == raw

    async def test_partitionkey_is_the_key(self, client: AsyncClient, publisher: MemoryPublisher) -> None:
        await client.post("/v1/events", json=event(partitionkey="order-1"))
        assert publisher.records[0].key == "order-1"

    async def test_promotional_events_have_a_topic_of_their_own(
        self, client: AsyncClient, publisher: MemoryPublisher
    ) -> None:
        await client.post("/v1/events", json=event(type="cart.abandoned"))
        assert publisher.records[0].topic == "promotional.notifications"

    async def test_a_cancel_is_taken(self, client: AsyncClient, publisher: MemoryPublisher) -> None:
        cancel = event(type="tidings.notification.cancel", cancelkey="appointment-77", time="2026-11-22T11:00:00Z")
        cancel.pop("data")
        assert (await client.post("/v1/events", json=cancel)).status_code == 202
        assert publisher.records[0].topic == "transactional.notifications"

    async def test_the_idempotency_key_stands_in_for_the_id(
        self, client: AsyncClient, publisher: MemoryPublisher
    ) -> None:
        sent = event()
        del sent["id"]
        key = unique("key")
        answer = await client.post("/v1/events", json=sent, headers={"Idempotency-Key": key})
        assert answer.json()["notification_id"] == str(event_uuid(SOURCE, key))
        assert parse(Record(value=publisher.records[0].value)).id == key

    async def test_without_any_id_it_is_refused(self, client: AsyncClient, publisher: MemoryPublisher) -> None:
        sent = event()
        del sent["id"]
        answer = await client.post("/v1/events", json=sent)
        assert answer.status_code == 400
        assert "Idempotency-Key" in answer.json()["detail"]
        assert not publisher.records

    async def test_a_wrong_event_is_refused_with_what_to_mend(
        self, client: AsyncClient, publisher: MemoryPublisher
    ) -> None:
        answer = await client.post("/v1/events", json=event(type="payment.suceeded"))
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["reason"] == "unknown_type"
        assert "payment.succeeded" in problem["detail"]
        assert not publisher.records

    async def test_a_missing_source_is_refused(self, client: AsyncClient) -> None:
        answer = await client.post("/v1/events", json=event(source=None))
        assert (answer.status_code, answer.json()["reason"]) == (422, "missing_attribute")

    async def test_data_against_the_schema_is_refused(self, client: AsyncClient) -> None:
        answer = await client.post("/v1/events", json=event(data={"payment_id": 1}))
        assert (answer.status_code, answer.json()["reason"]) == (422, "schema")

    async def test_no_json_is_refused(self, client: AsyncClient) -> None:
        answer = await client.post("/v1/events", content=b"{", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["reason"]) == (422, "not_json")

    async def test_more_than_a_record_can_hold_is_refused(self, client: AsyncClient) -> None:
        answer = await client.post("/v1/events", json=event(data={"payment_id": "x" * 260 * 1024}))
        assert answer.status_code == 413

    async def test_a_reused_id_is_refused(self, client: AsyncClient, sessions: Sessions) -> None:
        sent = event()
        await save(sessions, notification_row(sent["id"]))
        answer = await client.post("/v1/events", json=sent)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:tidings:problem:id-reused"

    async def test_a_repeat_is_taken_again(self, client: AsyncClient, sessions: Sessions) -> None:
        sent = event()
        known = parse(Record(value=json.dumps(sent).encode())).payload_hash
        await save(sessions, notification_row(sent["id"], payload_hash=known))
        assert (await client.post("/v1/events", json=sent)).status_code == 202

    async def test_without_the_broker_it_says_that_repeating_is_safe(
        self, client: AsyncClient, publisher: MemoryPublisher
    ) -> None:
        publisher.failure = ProduceError("down")
        answer = await client.post("/v1/events", json=event())
        assert answer.status_code == 503
        assert "same id" in answer.json()["detail"]
        assert answer.headers["retry-after"] == "5"


class TestGetEvent:
    async def test_accepted_with_its_notification(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"))
        message = message_row(row, 1, status="skipped", reason="no_address", address=None, channel="push")
        await save(sessions, row, message)
        answer = await client.get("/v1/events", params={"source": SOURCE, "id": row.event_id})
        found = answer.json()
        assert found["state"] == "accepted"
        assert found["notification"]["id"] == str(row.id)
        assert "no address for this channel" in found["notification"]["messages"][0]["explanation"]

    async def test_rejected_with_what_to_mend(self, client: AsyncClient, sessions: Sessions) -> None:
        event_id = unique("pay")
        await save(sessions, rejected_row(event_id, detail="did you mean payment.succeeded?"))
        found = (await client.get("/v1/events", params={"source": SOURCE, "id": event_id})).json()
        assert found["state"] == "rejected"
        assert "did you mean payment.succeeded?" in found["explanation"]
        assert found["rejections"][0]["reason"] == "unknown_type"

    async def test_accepted_stays_accepted_after_a_reused_id(self, client: AsyncClient, sessions: Sessions) -> None:
        row = notification_row(unique("pay"))
        message = message_row(row, 1, status="sent", attempt=1)
        await save(sessions, row, message, attempt_row(message, 1), rejected_row(row.event_id, reason="id_reused"))
        found = (await client.get("/v1/events", params={"source": SOURCE, "id": row.event_id})).json()
        assert found["state"] == "accepted"
        assert [rejection["reason"] for rejection in found["rejections"]] == ["id_reused"]

    async def test_not_seen(self, client: AsyncClient) -> None:
        found = (await client.get("/v1/events", params={"source": SOURCE, "id": unique("pay")})).json()
        assert found["state"] == "not_seen"
        assert "bridge" in found["explanation"]

    async def test_source_and_id_are_required(self, client: AsyncClient) -> None:
        answer = await client.get("/v1/events", params={"id": "x"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["location"] == "query.source"

    async def test_nul_is_refused(self, client: AsyncClient) -> None:
        answer = await client.get("/v1/events", params={"source": "a\x00b", "id": "x"})
        assert answer.status_code == 422
