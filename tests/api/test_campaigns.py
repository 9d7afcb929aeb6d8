"""Campaigns over HTTP: each command once, checked against the state, and kept with who asked."""

from typing import Any

import pytest
from httpx import AsyncClient

from api.collaborators import WorkflowsUnavailableError
from api.memory import MemoryWorkflows
from notifications.database import Sessions, transaction
from notifications.queries.catalogue import put_category
from notifications.queries.recipients import set_preference
from notifications.statuses import Channel
from tests.api.support import definitions, unique

CONTENT = {
    "default_locale": "en",
    "data": {"type": "object", "required": ["discount"], "properties": {"discount": {"type": "string"}}},
    "templates": {
        "email": {
            "en": {"subject": "{{ data.discount }} off", "text": "For {{ recipient.name | default('you', true) }}"}
        }
    },
}
FAR = "2099-03-01T08:00:00Z"


def body(**changes: Any) -> dict[str, Any]:
    values = {
        "name": "Spring sale",
        "category": "offers",
        "channel": "email",
        "content": CONTENT,
        "audience": {"all": True},
        "data": {"discount": "20 %"},
    }
    return {name: value for name, value in (values | changes).items() if value is not None}


async def create(client: AsyncClient, **changes: Any) -> str:
    response = await client.post("/v1/campaigns", json=body(**changes))
    assert response.status_code == 201, response.text
    assert response.headers["Location"].endswith(response.json()["campaign"]["id"])
    return str(response.json()["campaign"]["id"])


async def post(client: AsyncClient, campaign: str, command: str, **options: Any) -> dict[str, Any]:
    response = await client.post(f"/v1/campaigns/{campaign}/{command}", **options)
    return {"code": response.status_code, **response.json()}


async def test_a_draft_is_written_read_and_replaced(client: AsyncClient):
    campaign = await create(client)
    replaced = await client.put(f"/v1/campaigns/{campaign}", json=body(name="Summer sale", rate={"per_second": 5}))
    assert replaced.status_code == 200
    found = (await client.get(f"/v1/campaigns/{campaign}")).json()
    assert found["account"] is None
    assert (found["campaign"]["name"], found["campaign"]["rate"]) == ("Summer sale", {"per_second": 5})
    assert (found["campaign"]["state"], found["campaign"]["type"]) == ("draft", "promotional")
    assert found["campaign"]["duplicates"] == "at_most_once"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"category": "ofers"}, "did you mean 'offers'"),
        ({"content": None}, "give either `template`"),
        ({"template": "spring", "content": None}, "none is published as 'spring'"),
        ({"template": "spring"}, "give either `template`"),
        ({"channel": "sms"}, "no sms text in 'en'"),
        ({"data": {}}, "data: data lacks discount"),
        ({"audience": {}}, "exactly one of"),
        ({"audience": {"filter": {"field": "email", "op": "eq", "value": 1}}}, "audience"),
        ({"rate": {"per_second": 0}}, "rate.per_second"),
        ({"nmae": "x"}, "nmae"),
    ],
)
async def test_what_cannot_be_sent_is_refused_with_what_to_mend(
    client: AsyncClient, changes: dict[str, Any], says: str
):
    response = await client.post("/v1/campaigns", json=body(**changes))
    assert response.status_code == 422
    assert says in response.json()["detail"]


async def test_the_same_key_makes_one_campaign(client: AsyncClient):
    headers = {"Idempotency-Key": unique("spring")}
    first, second = [await client.post("/v1/campaigns", json=body(), headers=headers) for _ in range(2)]
    assert first.json()["campaign"]["id"] == second.json()["campaign"]["id"]


async def test_a_launch_starts_the_workflow_and_asked_again_changes_nothing(
    client: AsyncClient, workflows: MemoryWorkflows
):
    campaign = await create(client)
    launched = await post(client, campaign, "launch", json={"at": FAR})
    assert (launched["code"], launched["campaign"]["state"]) == (202, "scheduled")
    assert launched["account"]["targeted"] == 0
    assert [str(started) for started, _ in workflows.campaigns] == [campaign]
    again = await post(client, campaign, "launch")
    assert again["campaign"]["starts_at"] == launched["campaign"]["starts_at"]
    moved = await post(client, campaign, "reschedule", json={"at": "2099-04-01T09:00:00Z"})
    assert moved["campaign"]["starts_at"] == "2099-04-01T09:00:00Z"
    assert workflows.woken_campaigns


async def test_a_launch_that_temporal_does_not_hear_is_kept_and_asked_for_again(
    client: AsyncClient, workflows: MemoryWorkflows
):
    campaign = await create(client)
    workflows.failure = WorkflowsUnavailableError("UNAVAILABLE")
    refused = await post(client, campaign, "launch", json={"at": FAR})
    assert refused["code"] == 503
    assert "send the same request again" in refused["detail"]
    workflows.failure = None
    assert (await post(client, campaign, "launch", json={"at": FAR}))["code"] == 202
    assert len(workflows.campaigns) == 1


@pytest.mark.parametrize(("command", "wanted"), [("pause", None), ("resume", None), ("reschedule", {"at": FAR})])
async def test_a_state_that_does_not_allow_a_command_is_named(client: AsyncClient, command: str, wanted: Any):
    campaign = await create(client)
    refused = await post(client, campaign, command, json=wanted)
    assert (refused["code"], refused["state"]) == (409, "draft")
    assert "the campaign is draft" in refused["detail"]


async def test_a_cancelled_one_stays_so_and_every_command_is_kept_with_who_asked(client: AsyncClient):
    campaign = await create(client)
    await post(client, campaign, "launch", json={"at": FAR}, headers={"Tidings-User": "ana"})
    rate = await client.put(f"/v1/campaigns/{campaign}/rate", json={"per_second": 200})
    assert rate.json()["campaign"]["rate"] == {"per_second": 200}
    for _ in range(2):
        assert (await post(client, campaign, "cancel"))["campaign"]["state"] == "cancelled"
    assert (await post(client, campaign, "resume"))["code"] == 409
    log = (await client.get(f"/v1/campaigns/{campaign}/commands")).json()["items"]
    assert [(each["command"], each["by"], each["to_state"]) for each in log] == [
        ("create", "api", "draft"),
        ("launch", "ana", "scheduled"),
        ("change_rate", "api", "scheduled"),
        ("cancel", "api", "cancelled"),
    ]


async def test_campaigns_are_listed_newest_first_by_state(client: AsyncClient):
    older, newer = await create(client), await create(client)
    first = (await client.get("/v1/campaigns", params={"limit": 1, "state": "draft"})).json()
    rest = (await client.get("/v1/campaigns", params={"cursor": first["next"], "limit": 1})).json()
    assert [page["items"][0]["id"] for page in (first, rest)] == [newer, older]


async def test_one_that_is_not_there_is_said_so(client: AsyncClient):
    missing = "0c7f5f0e-6f0e-4b5a-9a58-3a1f6b3a7a11"
    assert (await client.get(f"/v1/campaigns/{missing}")).status_code == 404
    assert (await post(client, missing, "pause"))["code"] == 404


async def test_a_dry_run_says_whom_it_would_reach(client: AsyncClient, sessions: Sessions):
    recipient, refuser = unique("cus"), unique("cus")
    for each in (recipient, refuser):
        await client.put(f"/v1/recipients/{each}", json={"email": f"{each}@example.org"})
    async with transaction(sessions) as session:
        await put_category(session, definitions()["cart.abandoned"].category)
        await set_preference(session, recipient, "offers", Channel.EMAIL, opted_in=True, source="api")
    audience = {"recipients": [recipient, refuser, unique("nobody")]}
    campaign = await create(client, audience=audience, rate={"per_second": 2})
    found = (await client.post(f"/v1/campaigns/{campaign}/dry-run", params={"other_channels": True})).json()
    assert found["reach"] == {"targeted": 3, "to_send": 1, "skipped": {"opted_out": 1, "unknown_recipient": 1}}
    assert [each["recipient_id"] for each in found["sample"]] == [recipient]
    assert (found["seconds"], found["other_channels"]["sms"]["to_send"]) == (0.5, 0)


async def test_a_saved_audience_that_is_gone_is_said_so_before_launch(client: AsyncClient):
    campaign = await create(client, audience={"list": "0c7f5f0e-6f0e-4b5a-9a58-3a1f6b3a7a11"})
    for step in ("dry-run", "launch"):
        refused = await post(client, campaign, step)
        assert refused["code"] == 422
        assert "no saved audience" in refused["detail"]
