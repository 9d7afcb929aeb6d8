"""Commands on campaigns as events over HTTP: checked at once, produced in order, and explained."""

import json

from httpx import AsyncClient

from api.memory import MemoryPublisher
from notifications.database import Sessions
from notifications.ids import event_uuid
from tests.api.support import notification_row, rejected_row, save, unique
from tests.support.campaigns import campaign_row
from tests.support.events import SOURCE, call_off, launch


async def test_a_launch_and_its_cancel_are_produced_in_order(client: AsyncClient, publisher: MemoryPublisher):
    made = launch()
    campaign = str(event_uuid(SOURCE, made["id"]))
    answer = await client.post("/v1/events", json=made)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["campaign_id"], answer.json()["notification_id"]) == (campaign, None)
    assert answer.headers["location"] == f"/v1/campaigns/{campaign}"
    assert answer.json()["links"]["campaign"].endswith(f"/v1/campaigns/{campaign}")
    called_off = await client.post("/v1/events", json=call_off(campaign))
    assert called_off.json()["campaign_id"] == campaign
    assert [(each.topic, each.key) for each in publisher.records] == [("campaigns", campaign)] * 2
    assert json.loads(publisher.records[0].value) == made


async def test_what_cannot_be_a_campaign_is_refused(client: AsyncClient, publisher: MemoryPublisher):
    for data, hint in (
        ({"audience": {}}, "data.audience"),
        ({"category": "no-such"}, "data.category: "),
        ({"content": None, "template": "no-such"}, "data.template: "),
    ):
        answer = await client.post("/v1/events", json=launch(data=data))
        assert (answer.status_code, answer.json()["reason"]) == (422, "schema")
        assert hint in answer.json()["detail"]
    assert not publisher.records


async def test_an_id_that_another_campaign_has_is_refused(
    client: AsyncClient, publisher: MemoryPublisher, sessions: Sessions
):
    made = launch()
    row = campaign_row(id=event_uuid(SOURCE, made["id"]), source=SOURCE, event_id=made["id"], payload_hash=b"another")
    await save(sessions, row)
    answer = await client.post("/v1/events", json=made)
    assert (answer.status_code, answer.json()["reason"]) == (409, "id_reused")
    bought = unique("pay")
    await save(sessions, notification_row(bought, source=SOURCE, id=event_uuid(SOURCE, bought)))
    answer = await client.post("/v1/events", json=launch(id=bought))
    assert (answer.status_code, answer.json()["reason"]) == (409, "id_reused")
    assert not publisher.records


async def test_a_launch_is_explained(client: AsyncClient, sessions: Sessions):
    made = launch()
    row = campaign_row(id=event_uuid(SOURCE, made["id"]), source=SOURCE, event_id=made["id"])
    campaign = str(row.id)
    await save(sessions, row)
    answer = (await client.get("/v1/events", params={"source": SOURCE, "id": made["id"]})).json()
    assert (answer["state"], answer["notification"], answer["campaign"]["id"]) == ("accepted", None, campaign)
    assert "running" in answer["explanation"]


async def test_a_rejected_launch_is_mended_and_replayed(
    client: AsyncClient, publisher: MemoryPublisher, sessions: Sessions
):
    wrong = launch(data={"category": "no-such"})
    row = rejected_row(wrong["id"], value=json.dumps(wrong).encode(), source=SOURCE, topic="campaigns", reason="schema")
    await save(sessions, row)
    answer = await client.post(f"/v1/rejected-events/{row.id}/replay")
    assert answer.status_code == 422
    assert "data.category: " in answer.json()["detail"]
    patch = {"data": {"category": "offers"}}
    answer = await client.post(f"/v1/rejected-events/{row.id}/replay", json={"patch": patch})
    assert answer.status_code == 202, answer.text
    (record,) = publisher.records
    assert (record.topic, record.key) == ("campaigns", str(event_uuid(SOURCE, wrong["id"])))
