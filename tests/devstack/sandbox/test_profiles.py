import pytest

PROFILE = {
    "recipient_id": "cus_42",
    "name": "Ana Souza",
    "email": "ana@example.org",
    "phone": "+4915112345678",
    "locale": "de-AT",
    "timezone": "Europe/Vienna",
    "attributes": {"plan": "pro"},
    "devices": [{"id": "d1", "token": "t1", "platform": "android"}],
    "preferences": [{"category": "offers", "channel": "email", "opted_in": True}],
}


async def test_a_profile_is_kept_and_answered_with_an_etag(client) -> None:
    assert (await client.get("/profiles/cus_42")).status_code == 404
    assert (await client.put("/profiles/cus_42", json=PROFILE)).status_code == 201
    answer = await client.get("/profiles/cus_42")
    assert answer.json() == PROFILE
    again = await client.get("/profiles/cus_42", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.put("/profiles/cus_42", json={**PROFILE, "name": "Ana"})).status_code == 204
    changed = await client.get("/profiles/cus_42", headers={"If-None-Match": answer.headers["ETag"]})
    assert (changed.status_code, changed.json()["name"]) == (200, "Ana")
    assert (await client.delete("/profiles/cus_42")).status_code == 204
    assert (await client.get("/profiles/cus_42")).status_code == 404


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipient_id": "cus_43"}, "must equal the id in the path"),
        ({"emial": "x"}, "emial"),
        ({"devices": [{"id": "d", "token": "t", "platform": "toaster"}]}, "devices.0.platform"),
    ],
)
async def test_a_wrong_profile_is_refused_with_what_to_mend(client, change, words) -> None:
    answer = await client.put("/profiles/cus_42", json={**PROFILE, **change})
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


async def test_the_service_can_be_down_and_slow_like_the_others(client) -> None:
    await client.put("/profiles/cus_42", json=PROFILE)
    await client.put("/api/providers/profiles", json={"enabled": False})
    assert (await client.get("/profiles/cus_42")).status_code == 503
    await client.put("/api/providers/profiles", json={"enabled": True})
    await client.put("/api/faults/profiles/cus_42", json={"error": {"status": 500}})
    assert (await client.get("/profiles/cus_42")).status_code == 500
