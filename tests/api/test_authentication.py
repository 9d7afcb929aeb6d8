from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fastapi.routing import iter_route_contexts
from httpx import AsyncClient

from api.authentication import is_loopback
from api.context import ApiContext
from notifications.settings import Settings
from tests.api.support import TOKEN, app_of, client_of

_PUBLIC = {
    "/healthz",
    "/readyz",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/webhooks/{provider}/replies",
    "/u/{token}",  # its token is all the proof that there is (test_unsubscribe.py)
    "/u/{token}/preferences",
    "/webhooks/{provider}",  # guarded by the vendor's signature instead (test_webhooks.py)
}
# Takes no bearer token but a cookie of its own (console/test_pages.py).
_CONSOLE = ("/campaigns", "/sign-in", "/sign-out", "/console/")


def _routes(context: ApiContext) -> list[tuple[str, str]]:
    app = app_of(context.settings)
    found = []
    for route in iter_route_contexts(app.routes):
        found += [(method, route.path or "") for method in sorted((route.methods or set()) - {"HEAD"})]
    return found


@pytest.fixture
async def stranger(context: ApiContext) -> AsyncIterator[AsyncClient]:
    async with client_of(context, token=None) as client:
        yield client


async def test_every_route_but_the_public_ones_requires_the_token(context: ApiContext, stranger: AsyncClient) -> None:
    routes = _routes(context)
    assert len(routes) > 20
    for method, path in routes:
        if path in _PUBLIC or path.startswith(_CONSOLE):
            continue
        answer = await stranger.request(method, path.replace("{", "").replace("}", ""))
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["type"] == "urn:tidings:problem:unauthorized"


async def test_unknown_paths_say_nothing_without_the_token(stranger: AsyncClient) -> None:
    assert (await stranger.get("/v1/anything")).status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer é"]
)
async def test_a_wrong_header_is_refused(stranger: AsyncClient, header: str) -> None:
    answer = await stranger.get("/v1/notifications", headers=[(b"Authorization", header.encode())])
    assert answer.status_code == 401


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
async def test_the_right_token_is_taken(stranger: AsyncClient, header: str) -> None:
    answer = await stranger.get("/v1/notifications", headers={"Authorization": header})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json"])
async def test_public_paths_need_none(stranger: AsyncClient, path: str) -> None:
    assert (await stranger.get(path)).status_code == 200


class TestWithoutToken:
    @pytest.fixture
    async def open_client(self, context: ApiContext) -> AsyncIterator[AsyncClient]:
        async with client_of(replace(context, settings=Settings(api_token=None)), token=None) as client:
            yield client

    @pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "localhost"])
    async def test_local_names_are_served(self, open_client: AsyncClient, host: str) -> None:
        assert (await open_client.get("/v1/notifications", headers={"Host": host})).status_code == 200

    @pytest.mark.parametrize("host", ["evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", ""])
    async def test_a_name_that_was_pointed_here_is_not(self, open_client: AsyncClient, host: str) -> None:
        answer = await open_client.get("/v1/notifications", headers={"Host": host})
        assert (answer.status_code, answer.json()["type"]) == (403, "urn:tidings:problem:forbidden-host")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.5", "localhost", "::1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["192.0.2.1", "::", "", "example.org", "127.example.org"])
def test_reachable_from_outside(host: str) -> None:
    assert not is_loopback(host)
