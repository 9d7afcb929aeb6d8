from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from httpx import AsyncClient
from pydantic import SecretStr
from sqlalchemy import Connection
from sqlalchemy.event import listens_for
from sqlalchemy.exc import OperationalError

from api.context import ApiContext
from notifications.database import create_engine, create_sessions
from tests.api.support import client_of, unique


async def test_an_unknown_path(client: AsyncClient) -> None:
    answer = await client.get("/v1/nothing")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["remedy"]


async def test_a_wrong_method(client: AsyncClient) -> None:
    answer = await client.delete("/v1/events")
    assert (answer.status_code, answer.json()["type"]) == (405, "urn:tidings:problem:method-not-allowed")
    assert "allow" in answer.headers


async def test_what_is_wrong_is_named_without_the_value(client: AsyncClient) -> None:
    answer = await client.get("/v1/notifications", params={"limit": "canary-value"})
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"location": "query.limit", "message": answer.json()["errors"][0]["message"]}]
    assert "canary-value" not in answer.text


class TestWithoutPostgres:
    @pytest.fixture
    async def lonely(self, context: ApiContext) -> AsyncIterator[AsyncClient]:
        engine = create_engine(SecretStr("postgresql://nobody@127.0.0.1:9/none"))
        async with client_of(replace(context, sessions=create_sessions(engine))) as client:
            yield client
        await engine.dispose()

    async def test_it_says_so(self, lonely: AsyncClient) -> None:
        answer = await lonely.get("/v1/notifications")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:tidings:problem:unavailable")
        assert answer.headers["retry-after"]

    async def test_not_ready(self, lonely: AsyncClient) -> None:
        answer = await lonely.get("/readyz")
        assert answer.status_code == 503
        states = answer.json()["dependencies"]
        assert (states["postgres"]["ready"], states["temporal"]["ready"], states["kafka"]["ready"]) == (
            False,
            True,
            True,
        )
        assert "nobody" not in answer.text


async def test_ready(client: AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


async def test_nothing_is_told_as_done_that_was_not_kept(context: ApiContext, database_url: str) -> None:
    engine = create_engine(SecretStr(database_url))

    @listens_for(engine.sync_engine, "commit")
    def fail(_connection: Connection) -> None:
        raise OperationalError("COMMIT", {}, Exception("connection lost"))

    async with client_of(replace(context, sessions=create_sessions(engine))) as client:
        answer = await client.put(f"/v1/recipients/{unique('cus')}", json={})
    await engine.dispose()
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:tidings:problem:unavailable")
