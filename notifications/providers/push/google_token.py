"""An access token for a Google service account: the JWT-bearer grant of RFC 7523.

https://developers.google.com/identity/protocols/oauth2/service-account#httprest
"""

import asyncio
import json
import time
from http import HTTPStatus
from urllib.parse import urlencode

import jwt
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from notifications.providers import verdicts
from notifications.providers.base import DeliveryError, TransientDeliveryError
from notifications.providers.http import Answer, HttpClient
from notifications.providers.required import required_secret
from notifications.settings import FcmSettings, SettingsError

SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
VARIABLE = "TIDINGS_FCM__CREDENTIALS"
LIFE_SECONDS = 3600
REFRESH_EARLY_SECONDS = 300.0  # before it expires
RETRY_EARLY_SECONDS = 30.0  # between tries to renew a token that is still good

log = structlog.get_logger()


class GoogleToken:
    """The current token; one exchange at a time, and a failed early one is no matter while the old one is good.

    Raises:
        SettingsError: the credentials are not a service account's JSON.

    """

    def __init__(self, settings: FcmSettings, http: HttpClient) -> None:
        account = _parse(required_secret(settings.credentials, VARIABLE))
        self.project_id = account["project_id"]
        self._email = account["client_email"]
        self._uri = account["token_uri"]
        self._key_id = account.get("private_key_id")
        self._key = _load_key(account["private_key"])
        self._http = http
        self._lock = asyncio.Lock()
        self._token = ""
        self._expires_at = self._renew_at = 0.0  # monotonic

    async def get(self, deadline: float) -> str:
        """A token that is good now.

        Raises:
            TransientDeliveryError: Google did not answer; nothing was sent.
            PermanentDeliveryError: Google refused the account (scope config).

        """
        if time.monotonic() < self._renew_at:
            return self._token
        async with self._lock:
            if time.monotonic() >= self._renew_at:
                await self._renew(deadline)
        return self._token

    def forget(self) -> None:
        """The next `get` makes a new one."""
        self._expires_at = self._renew_at = 0.0

    async def _renew(self, deadline: float) -> None:
        failure: DeliveryError
        try:
            answer = await self._exchange(deadline)
        except DeliveryError as error:
            failure = TransientDeliveryError("fcm_token_unreachable", error.code, outage=True)
        else:
            if self._keep(answer):
                return
            failure = _refusal(answer)
        if time.monotonic() >= self._expires_at:
            raise failure
        self._renew_at = min(time.monotonic() + RETRY_EARLY_SECONDS, self._expires_at)
        log.warning("fcm.token_not_renewed", code=failure.code)

    async def _exchange(self, deadline: float) -> Answer:
        now = int(time.time())
        claims = {"iss": self._email, "scope": SCOPE, "aud": self._uri, "iat": now, "exp": now + LIFE_SECONDS}
        headers = {"kid": self._key_id} if self._key_id else None
        assertion = jwt.encode(claims, self._key, algorithm="RS256", headers=headers)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        return await self._http.request(
            "POST",
            self._uri,
            deadline=deadline,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )

    def _keep(self, answer: Answer) -> bool:
        document = answer.document()
        token, life = document.get("access_token"), document.get("expires_in")
        if not (isinstance(token, str) and token.isascii() and isinstance(life, int) and life > 0):
            return False
        self._token = token
        self._expires_at = time.monotonic() + life
        self._renew_at = self._expires_at - min(REFRESH_EARLY_SECONDS, life / 2)
        return True


def _refusal(answer: Answer) -> DeliveryError:
    """Nothing was sent, so a failing token server is always worth another try."""
    if answer.status in {400, 401, 403, 404}:
        return verdicts.config(f"Google refused the service account: check {VARIABLE}").error("fcm_token_refused")
    return TransientDeliveryError(
        f"fcm_token_http_{answer.status}",
        "no access token came",
        retry_after=answer.retry_after,
        outage=answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def _parse(credentials: str) -> dict[str, str]:
    try:
        account = json.loads(credentials)
    except ValueError:
        account = None
    fields = ("project_id", "client_email", "private_key", "token_uri")
    if not isinstance(account, dict) or not all(isinstance(account.get(field), str) for field in fields):
        raise SettingsError(f"{VARIABLE} must be the JSON of a service account, with {', '.join(fields)}")
    return account


def _load_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise SettingsError(f"{VARIABLE}: private_key is not an RSA key in PEM")
    return key
