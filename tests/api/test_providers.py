from httpx import AsyncClient


async def test_a_provider_is_paused_and_resumed(client: AsyncClient) -> None:
    paused = await client.post("/v1/providers/fcm/pause", json={"reason": "quota"})
    assert paused.status_code == 200
    (account,) = paused.json()["items"]
    assert (account["state"], account["channel"], account["paused_by"], account["pause_reason"]) == (
        "paused",
        "push",
        "api",
        "quota",
    )
    listed = {item["name"]: item["state"] for item in (await client.get("/v1/providers")).json()["items"]}
    assert listed["fcm"] == "paused"
    (account,) = (await client.post("/v1/providers/fcm/resume")).json()["items"]
    assert (account["state"], account["paused_at"]) == ("running", None)


async def test_an_unknown_one_is_not_found(client: AsyncClient) -> None:
    for action in ("pause", "resume"):
        answer = await client.post(f"/v1/providers/smpt/{action}")
        assert answer.status_code == 404
        assert "smtp (email)" in answer.json()["detail"]
    assert (await client.post("/v1/providers/smtp/pause", json={"channel": "fax"})).status_code == 422
