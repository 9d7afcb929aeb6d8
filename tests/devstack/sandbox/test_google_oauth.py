import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


async def test_a_signed_assertion_becomes_an_access_token(client, account, sign) -> None:
    answer = await client.post("/fcm/token", data={"grant_type": GRANT, "assertion": sign(account)})
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3599


async def test_an_assertion_signed_by_another_key_is_refused(client, account, sign) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    answer = await client.post("/fcm/token", data={"grant_type": GRANT, "assertion": sign(account, key=pem)})
    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant", "audience"),
        ({"iss": "someone@else.example"}, "invalid_grant", "account not found"),
        ({"scope": "email"}, "invalid_scope", "scope"),
        ({"scope": ""}, "invalid_scope", "scope"),
        ({"exp": int(time.time()) + 7200}, "invalid_grant", "short-lived"),
        ({"iat": int(time.time()) - 9000, "exp": int(time.time()) - 5400}, "invalid_grant", "short-lived"),
    ],
    ids=["audience", "issuer", "scope", "no scope", "too long", "expired"],
)
async def test_wrong_claims_are_refused_in_googles_words(client, account, sign, changes, error, words) -> None:
    answer = await client.post("/fcm/token", data={"grant_type": GRANT, "assertion": sign(account, **changes)})
    assert answer.status_code == 400
    assert answer.json()["error"] == error
    assert words in answer.json()["error_description"]


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": GRANT}, "invalid_grant"),
        ({"grant_type": GRANT, "assertion": "not.a.jwt"}, "invalid_grant"),
    ],
    ids=["grant type", "no assertion", "not a JWT"],
)
async def test_other_requests_are_refused(client, form, error) -> None:
    answer = await client.post("/fcm/token", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_it_fails_by_its_own_knob_and_not_by_that_of_sending(client, account, sign) -> None:
    form = {"grant_type": GRANT, "assertion": sign(account)}
    await client.put("/api/faults/fcm", json={"error": {"status": 500}})
    assert (await client.post("/fcm/token", data=form)).status_code == 200
    await client.put("/api/faults/oauth", json={"fail_times": 1})
    assert (await client.post("/fcm/token", data=form)).status_code == 503
    assert (await client.post("/fcm/token", data=form)).status_code == 200
