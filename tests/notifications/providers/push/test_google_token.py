"""The access token: made once, renewed early, never lost while it is good."""

import asyncio
import json
import time
from urllib.parse import parse_qs

import jwt
import pytest
from pydantic import SecretStr

from notifications.providers.base import ErrorScope, PermanentDeliveryError, TransientDeliveryError
from notifications.providers.push.fcm import FcmProvider
from notifications.providers.push.google_token import SCOPE
from notifications.settings import SettingsError
from tests.contracts.support.http_server import Misbehaviour, Reply
from tests.contracts.support.vendors import PUBLIC_KEY, fcm_settings, outgoing, running, service_account


def token(name: str, life: float = 3600) -> Reply:
    return Reply(200, {"access_token": name, "expires_in": life})


async def test_the_assertion_is_signed_for_the_token_endpoint(send):
    async with running("fcm") as bench:
        await send(bench.provider, outgoing(bench))
        (request,) = bench.server.received_elsewhere
        form = parse_qs(request.body.decode())
        audience = f"{bench.server.url}/token"
        claims = jwt.decode(form["assertion"][0], PUBLIC_KEY, algorithms=["RS256"], audience=audience)
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        assert jwt.get_unverified_header(form["assertion"][0])["kid"] == "key-1"
        assert (claims["iss"], claims["scope"]) == ("sender@p.iam.gserviceaccount.com", SCOPE)
        assert 0 < claims["exp"] - claims["iat"] <= 3600
        assert bench.server.received[0].headers["authorization"] == "Bearer access-canary"


async def test_many_senders_share_one_exchange(send):
    async with running("fcm") as bench:
        await asyncio.gather(*(send(bench.provider, outgoing(bench)) for _ in range(50)))
        await send(bench.provider, outgoing(bench))
        assert len(bench.server.received_elsewhere) == 1


async def test_a_token_is_renewed_before_it_expires(send):
    async with running("fcm") as bench:
        bench.server.elsewhere_script.extend([token("short", 1), token("next")])
        used = []
        async with asyncio.timeout(10):
            while "Bearer next" not in used:
                await send(bench.provider, outgoing(bench))
                used.append(bench.server.received[-1].headers["authorization"])
                await asyncio.sleep(0.05)
        assert set(used) == {"Bearer short", "Bearer next"}
        assert len(bench.server.received_elsewhere) == 2


async def test_a_failed_early_renewal_is_no_matter_while_the_old_one_is_good(send):
    async with running("fcm") as bench:
        # Half of a short life is the moment to renew: here that fails, and the old one goes on.
        bench.server.elsewhere_script.extend([token("old", 4), Reply(503, {})])
        begun = time.monotonic()
        async with asyncio.timeout(10):
            while len(bench.server.received_elsewhere) < 2:
                await send(bench.provider, outgoing(bench))
                await asyncio.sleep(0.05)
        assert time.monotonic() - begun < 4
        assert bench.server.received[-1].headers["authorization"] == "Bearer old"


@pytest.mark.parametrize(
    "answer",
    [
        Misbehaviour.RESET,
        Misbehaviour.GARBAGE,
        Reply(500, {}),
        Reply(200, {}),
        token("x", 0),
        token("ü"),
        Reply(429, {}),
    ],
    ids=str,
)
async def test_without_a_token_nothing_is_sent_and_another_try_is_worth_it(answer, failure):
    async with running("fcm") as bench:
        bench.server.elsewhere_script.append(answer)
        error = await failure(bench.provider, outgoing(bench))
        assert isinstance(error, TransientDeliveryError)
        assert bench.server.received == []


async def test_a_refused_account_is_a_matter_of_configuration(failure):
    async with running("fcm") as bench:
        bench.server.elsewhere_script.append(Reply(400, {"error": "invalid_grant"}))
        error = await failure(bench.provider, outgoing(bench))
    assert isinstance(error, PermanentDeliveryError)
    assert error.scope is ErrorScope.CONFIG
    assert "TIDINGS_FCM__CREDENTIALS" in error.detail


def _without(field: str) -> str:
    account = json.loads(service_account("http://127.0.0.1"))
    del account[field]
    return json.dumps(account)


@pytest.mark.parametrize(
    "credentials",
    [
        "",
        "{",
        "[]",
        "null",
        _without("project_id"),
        _without("token_uri"),
        service_account("x").replace("PRIVATE", "WRONG"),
    ],
    ids=["empty", "cut", "list", "null", "no-project", "no-token-uri", "no-key"],
)
def test_unusable_credentials_are_named_and_not_shown(credentials):
    with pytest.raises(SettingsError, match="TIDINGS_FCM__CREDENTIALS") as caught:
        FcmProvider(fcm_settings("http://127.0.0.1", credentials=SecretStr(credentials)))
    assert "BEGIN" not in str(caught.value)
