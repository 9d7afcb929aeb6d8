"""The token endpoint of Google's OAuth 2: a service account's signed assertion (RFC 7523) becomes an access token.

Access tokens are signed, not remembered, so that they outlive a restart as the real ones do. With `--service-account`
the account is kept in that file and outlives it too.
"""

import base64
import hashlib
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import jwt
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from devstack.sandbox.faults import TOKEN_ENDPOINT, ErrorKnob
from devstack.sandbox.gate import Refusal

PROJECT_ID = "tidings-sandbox"
CLIENT_EMAIL = f"sender@{PROJECT_ID}.iam.gserviceaccount.com"
TOKEN_PATH = "/fcm/token"  # noqa: S105 - a path
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPES = {
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
}
_LIFETIME_SECONDS = 3600
_CLOCK_SKEW_SECONDS = 300
_TOKEN_PREFIX = "ya29.sandbox."  # noqa: S105 - what Google's tokens begin with


class ServiceAccount:
    """The one account of the sandbox, generated unless `path` holds it already."""

    def __init__(self, path: Path | None = None) -> None:
        self._document = _kept(path) if path is not None and path.exists() else _generated()
        if path is not None and not path.exists():
            _keep(path, self._document)
        key = serialization.load_pem_private_key(self._document["private_key"].encode(), None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("the service account's private_key must be an RSA key in PEM")  # noqa: TRY004 - a bad file
        self.public_key = key.public_key()
        self._secret = hashlib.sha256(self._document["private_key"].encode()).digest()

    def document(self, token_uri: str) -> dict[str, Any]:
        """The JSON file that Google's console would hand out, pointing at this sandbox."""
        return {**self._document, "token_uri": token_uri}

    def issue(self, scope: str) -> str:
        claims = {"exp": int(time.time()) + _LIFETIME_SECONDS, "scope": scope, "jti": uuid.uuid4().hex}
        return _TOKEN_PREFIX + jwt.encode(claims, self._secret, algorithm="HS256")

    def accepts(self, token: str) -> bool:
        try:
            jwt.decode(token.removeprefix(_TOKEN_PREFIX), self._secret, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return False
        return token.startswith(_TOKEN_PREFIX)


class TokenEndpoint:
    """`POST /fcm/token`; on the fault board it is `oauth`, apart from sending."""

    name = TOKEN_ENDPOINT

    def __init__(self, account: ServiceAccount) -> None:
        self._account = account

    def recipient_of(self, _request: web.Request, _body: bytes) -> str | None:
        return None

    def handle(self, request: web.Request, body: bytes) -> web.Response:
        form = _form(body)
        if form.get("grant_type") != _GRANT:
            raise _refused("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type', '')}")
        claims = self._claims(form.get("assertion", ""), f"{request.scheme}://{request.host}{TOKEN_PATH}")
        scope = str(claims.get("scope", ""))
        if not scope:
            raise _refused("invalid_scope", "Empty or missing scope not allowed.")
        if not set(scope.split()) & _SCOPES:
            raise _refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return web.json_response(
            {
                "access_token": self._account.issue(scope),
                "expires_in": _LIFETIME_SECONDS - 1,
                "token_type": "Bearer",
            }
        )

    def fault(self, knob: ErrorKnob) -> Refusal:
        status = knob.status or 503
        reason = str(knob.code or ("internal_failure" if status >= 500 else "invalid_grant"))  # noqa: PLR2004 - HTTP
        return Refusal(status, {"error": reason, "error_description": knob.message or "Try again."})

    def _claims(self, assertion: str, audience: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                assertion,
                self._account.public_key,
                algorithms=["RS256"],
                options={"require": ["iss", "iat", "exp", "aud"], "verify_aud": False},
                leeway=_CLOCK_SKEW_SECONDS,
            )
        except jwt.InvalidSignatureError:
            raise _refused("invalid_grant", "Invalid JWT Signature.") from None
        except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
            raise _refused("invalid_grant", _SHORT_LIVED) from None
        except jwt.InvalidTokenError:
            raise _refused(
                "invalid_grant", "Bad Request: the assertion is not a JWT with iss, iat, exp, aud."
            ) from None
        if claims["exp"] - claims["iat"] > _LIFETIME_SECONDS:
            raise _refused("invalid_grant", _SHORT_LIVED)
        if claims["iss"] != CLIENT_EMAIL:
            raise _refused("invalid_grant", "Invalid grant: account not found")
        if claims["aud"] != audience:
            raise _refused("invalid_grant", f"Invalid JWT: Failed audience check. The right audience is {audience}")
        return claims


_SHORT_LIVED = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
    "Check your iat and exp values in the JWT claim."
)


def _refused(error: str, description: str) -> Refusal:
    return Refusal(400, {"error": error, "error_description": description})


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _generated() -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "type": "service_account",
        "project_id": PROJECT_ID,
        "private_key_id": base64.b16encode(os.urandom(20)).decode().lower(),
        "private_key": pem,
        "client_email": CLIENT_EMAIL,
        "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "universe_domain": "googleapis.com",
    }


def _kept(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _keep(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all: a torn file would keep the sandbox from starting ever again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(document, file)
    draft.replace(path)
