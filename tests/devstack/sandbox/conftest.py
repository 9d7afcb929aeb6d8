"""One sandbox per test, on free ports; clients talk to it over TCP."""

import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from devstack.sandbox.server import Sandbox, SandboxOptions

_CONTRACTS = Path(__file__).resolve().parents[4] / "shared" / "contracts"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SECRET = "the sandbox's receipts"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


@pytest.fixture(scope="session")
def kept_account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key for the run: making one takes longer than most tests."""
    return tmp_path_factory.mktemp("sandbox") / "service-account.json"


@pytest.fixture
async def sandbox(kept_account: Path) -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(SandboxOptions(http_port=0, smtp_port=0, seed=7, service_account=kept_account, secret=SECRET))
    await sandbox.start()
    yield sandbox
    await sandbox.stop()


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the usual one takes a quarter of a second to load
    async with httpx.AsyncClient(base_url=sandbox.http_url, timeout=10, trust_env=False, verify=no_tls) as client:
        yield client


@pytest.fixture
def sign() -> Callable[..., str]:
    """An assertion of the service account, with claims changed."""

    def signed(account: dict, key: str | None = None, **changes: object) -> str:
        now = int(time.time())
        claims = {"iss": account["client_email"], "aud": account["token_uri"], "iat": now, "exp": now + 3600}
        claims |= {"scope": SCOPE, **changes}
        return jwt.encode(claims, key or account["private_key"], algorithm="RS256")

    return signed


@pytest.fixture
async def account(client: httpx.AsyncClient) -> dict:
    return (await client.get("/fcm/service-account.json")).json()


@pytest.fixture
async def fcm_headers(client: httpx.AsyncClient, account: dict, sign: Callable[..., str]) -> dict[str, str]:
    answer = await client.post("/fcm/token", data={"grant_type": GRANT, "assertion": sign(account)})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@cache
def _contract(name: str) -> OpenAPI:
    path = _CONTRACTS / name
    if not path.exists():
        pytest.skip(f"the vendor's contract {name} is not beside the repository")
    return OpenAPI.from_dict(json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def conforms() -> Callable[[str, str, httpx.Response], None]:
    """Checks a request and its answer against the vendor's OpenAPI file, with our prefix taken off the path."""

    def check(contract: str, prefix: str, answer: httpx.Response) -> None:
        api = _contract(contract)
        request = answer.request
        host = api.spec.read_value()["servers"][0]["url"]  # the vendor's
        content_type = request.headers["Content-Type"]
        seen: dict[str, Any] = {"headers": dict(request.headers), "data": request.content, "content_type": content_type}
        sent = MockRequest(host, request.method.lower(), request.url.path.removeprefix(prefix), **seen)
        api.validate_request(sent)
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        got = MockResponse(answer.content, answer.status_code, dict(answer.headers), kind)
        api.validate_response(sent, got)

    return check
