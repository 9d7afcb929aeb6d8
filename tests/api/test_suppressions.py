from typing import Any

import pytest
from httpx import AsyncClient

from tests.api.support import unique


def _address() -> dict[str, Any]:
    return {"channel": "email", "address": f"{unique('jane')}@example.org"}


async def test_an_address_is_suppressed_once_and_lifted_once(client: AsyncClient) -> None:
    address = _address()
    first = await client.post("/v1/suppressions", json=address | {"reason": "complaint"})
    assert first.status_code == 201
    assert address["address"] not in first.text
    again = await client.post("/v1/suppressions", json=address)
    assert (again.status_code, again.json()) == (200, first.json())
    url = f"/v1/suppressions/{first.json()['id']}"
    assert (await client.delete(url)).status_code == 204
    assert (await client.delete(url)).status_code == 404


async def test_every_spelling_is_the_same_address(client: AsyncClient) -> None:
    address = _address()
    await client.post("/v1/suppressions", json=address)
    shouted = address | {"address": address["address"].upper()}
    (found,) = (await client.post("/v1/suppressions/search", json=shouted)).json()["items"]
    assert (found["channel"], found["scope"], found["reason"]) == ("email", "all", "manual")


async def test_a_scope_may_be_a_category(client: AsyncClient) -> None:
    address = _address()
    for scope in ("offers", "all"):
        assert (await client.post("/v1/suppressions", json=address | {"scope": scope})).status_code == 201
    found = (await client.post("/v1/suppressions/search", json=address)).json()["items"]
    assert [item["scope"] for item in found] == ["all", "offers"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": "canary"}, "not an e-mail address"),
        ({"channel": "sms", "address": "canary"}, "must begin with +"),
        ({"scope": "ofers"}, "offers"),
        ({"reason": "dislike"}, "reason"),
    ],
)
async def test_a_wrong_one_is_refused(client: AsyncClient, change: dict[str, str], words: str) -> None:
    answer = await client.post("/v1/suppressions", json=_address() | change)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]
    assert "canary" not in answer.text


async def test_pages_hold_each_once(client: AsyncClient) -> None:
    made = {(await client.post("/v1/suppressions", json=_address())).json()["id"] for _ in range(5)}
    seen: list[str] = []
    parameters: dict[str, str | int] = {"limit": 2}
    while True:
        page = (await client.get("/v1/suppressions", params=parameters)).json()
        seen += [item["id"] for item in page["items"]]
        if page["next"] is None:
            break
        parameters["cursor"] = page["next"]
    assert made <= set(seen)
    assert len(seen) == len(set(seen))


@pytest.mark.parametrize("suppression_id", ["nonsense", "zz.email.all", "00.pigeon.all", "00.email"])
async def test_an_unknown_id(client: AsyncClient, suppression_id: str) -> None:
    assert (await client.delete(f"/v1/suppressions/{suppression_id}")).status_code == 404
