"""One sandbox per test, on free ports; clients talk to it over TCP."""

import time
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest

from devstack.sandbox.server import Sandbox, SandboxOptions

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(SandboxOptions(http_port=0, smtp_port=0, seed=7))
    await sandbox.start()
    yield sandbox
    await sandbox.stop()


@pytest.fixture
async def client(sandbox: Sandbox) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sandbox.http_url, timeout=10, trust_env=False) as client:
        yield client


def assertion(account: dict, **changes: object) -> str:
    now = int(time.time())
    claims = {"iss": account["client_email"], "aud": account["token_uri"], "iat": now, "exp": now + 3600}
    return jwt.encode({**claims, "scope": SCOPE, **changes}, account["private_key"], algorithm="RS256")


@pytest.fixture
async def fcm_headers(client: httpx.AsyncClient) -> dict[str, str]:
    account = (await client.get("/fcm/service-account.json")).json()
    form = {"grant_type": GRANT, "assertion": assertion(account)}
    answer = await client.post("/fcm/token", data=form)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}
