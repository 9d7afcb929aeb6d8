from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from sqlmodel import col, func, select

from notifications.database import Sessions
from notifications.tables import AudienceMember
from tests.api.support import unique
from tests.support.audiences import insert_recipients
from tests.support.campaigns import category_of, insert_unprepared


@pytest.fixture
async def people(sessions: Sessions) -> list[str]:
    """Three, with `attributes.crowd` of their own."""
    crowd = unique("crowd")
    ids = [f"{crowd}-{number}" for number in range(3)]
    await insert_recipients(sessions, ({"id": name, "attributes": {"crowd": crowd}} for name in ids))
    return ids


def crowd_of(people: list[str]) -> dict[str, Any]:
    return {"field": "attributes.crowd", "op": "eq", "value": people[0].removesuffix("-0")}


async def saved(client: AsyncClient, **changes: Any) -> dict[str, Any]:
    wanted = {"name": "Pros", "filter": {"field": "locale", "op": "eq", "value": "de"}} | changes
    answer = await client.post("/v1/audiences", json=wanted)
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


async def members(sessions: Sessions, audience_id: str) -> int:
    async with sessions() as session:
        statement = select(func.count()).where(col(AudienceMember.audience_id) == UUID(audience_id))
        return (await session.exec(statement)).one()


async def test_a_filter_is_saved_counted_and_deleted(client: AsyncClient, people: list[str]) -> None:
    audience = await saved(client, filter=crowd_of(people))
    assert (audience["kind"], audience["filter"], audience["size"]) == ("filter", crowd_of(people), None)
    url = f"/v1/audiences/{audience['id']}"
    assert (await client.get(url)).json() == audience
    assert (await client.get(f"{url}/count")).json() == {"recipients": 3, "unknown": 0}
    assert (await client.delete(url)).status_code == 204
    for method, path in (("GET", url), ("GET", f"{url}/count"), ("DELETE", url)):
        answer = await client.request(method, path)
        assert answer.status_code == 404
        assert "GET /v1/audiences lists them" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("content", "kind", "parameters"),
    [
        ("{0}\n{1}\n{1}\n\nstranger\n", "text/plain", {}),
        ("city,id\nLisboa,{0}\nPorto,{1}\nFaro,stranger\n", "text/csv", {"column": "id"}),
        ("{0}\r\n{1}\r\nstranger", "application/octet-stream", {}),
    ],
)
async def test_a_list_is_uploaded(
    client: AsyncClient,
    sessions: Sessions,
    people: list[str],
    content: str,
    kind: str,
    parameters: dict[str, str],
) -> None:
    answer = await client.post(
        "/v1/audiences/lists",
        params={"name": "Fair", **parameters},
        content=content.format(*people).encode(),
        headers={"content-type": kind},
    )
    assert answer.status_code == 201
    audience = answer.json()
    assert (audience["name"], audience["kind"], audience["size"], audience["filter"]) == ("Fair", "list", 3, None)
    count = await client.get(f"/v1/audiences/{audience['id']}/count")
    assert count.json() == {"recipients": 3, "unknown": 1}
    assert await members(sessions, audience["id"]) == 3
    assert (await client.delete(f"/v1/audiences/{audience['id']}")).status_code == 204
    assert await members(sessions, audience["id"]) == 0


@pytest.mark.parametrize(
    ("content", "kind", "parameters", "words"),
    [
        (b"", "text/plain", {}, "the list has no ids"),
        (b"id\ncus_1\n", "text/csv", {}, "query.column must name the column"),
        (b"id\ncus_1\n", "text/csv", {"column": "customer"}, "names no column 'customer'"),
        (b"cus_1\n" + b"x" * 300, "text/plain", {}, "line 2 must be a recipient's id"),
    ],
)
async def test_a_wrong_list_is_refused_whole(
    client: AsyncClient, content: bytes, kind: str, parameters: dict[str, str], words: str
) -> None:
    name = unique("list")
    answer = await client.post(
        "/v1/audiences/lists",
        params={"name": name, **parameters},
        content=content,
        headers={"content-type": kind},
    )
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert name not in (await client.get("/v1/audiences")).text


async def test_a_list_may_be_larger_than_other_bodies(client: AsyncClient) -> None:
    content = b"".join(b"customer-%d\n" % number for number in range(40_000))
    answer = await client.post("/v1/audiences/lists", params={"name": "Large"}, content=content)
    assert (answer.status_code, answer.json()["size"]) == (201, 40_000)


async def test_any_audience_can_be_counted(client: AsyncClient, people: list[str]) -> None:
    audience = await saved(client, filter=crowd_of(people))
    for asked, count in (
        ({"filter": crowd_of(people)}, {"recipients": 3, "unknown": 0}),
        ({"list": audience["id"]}, {"recipients": 3, "unknown": 0}),
        ({"recipients": [*people[:2], "stranger"]}, {"recipients": 3, "unknown": 1}),
    ):
        answer = await client.post("/v1/audiences/count", json={"audience": asked})
        assert (answer.status_code, answer.json()) == (200, count)
    everybody = await client.post("/v1/audiences/count", json={"audience": {"all": True}})
    assert everybody.json()["recipients"] >= 3


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"audience": {}}, 422, "exactly one of"),
        ({"audience": {"filter": {"field": "plan", "op": "eq", "value": 1}}}, 422, "filter.field must be one of"),
        ({"audience": {"list": str(uuid4())}}, 404, "no saved audience"),
        ({"audiences": {}}, 422, "audience"),
    ],
)
async def test_a_wrong_audience_says_what_to_mend(
    client: AsyncClient, body: dict[str, Any], status: int, words: str
) -> None:
    answer = await client.post("/v1/audiences/count", json=body)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


async def test_a_wrong_filter_is_not_saved(client: AsyncClient) -> None:
    answer = await client.post("/v1/audiences", json={"name": "Wrong", "filter": {"any": []}})
    assert answer.status_code == 422
    assert "filter.any must be a list of at least one condition" in answer.json()["detail"]


async def test_pages_go_from_the_newest_to_the_oldest(client: AsyncClient) -> None:
    made = [(await saved(client, name=unique("page")))["id"] for _ in range(5)]
    seen: list[str] = []
    parameters: dict[str, str | int] = {"limit": 2}
    while len(seen) < 5:
        page = (await client.get("/v1/audiences", params=parameters)).json()
        seen += [item["id"] for item in page["items"]]
        parameters["cursor"] = page["next"]
    assert seen[:5] == made[::-1]
    assert (await client.get("/v1/audiences", params={"cursor": "x"})).status_code == 400


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"state": "scheduled"}, 409),
        ({"state": "preparing"}, 409),
        ({"state": "paused"}, 409),
        ({"state": "draft"}, 204),
        ({"state": "cancelled"}, 204),
    ],
)
async def test_an_audience_that_a_campaign_has_yet_to_read_stays(
    client: AsyncClient, sessions: Sessions, changes: dict[str, Any], status: int
) -> None:
    audience = await saved(client)
    campaign = await insert_unprepared(sessions, category_of(), {"list": audience["id"]}, **changes)
    answer = await client.delete(f"/v1/audiences/{audience['id']}")
    assert answer.status_code == status
    assert status == 204 or str(campaign) in answer.json()["detail"]
