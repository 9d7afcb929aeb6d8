"""Who is signed in at the console: a cookie signed with a key from the API token, so that nothing has to be kept.

Another token ends all of them, and every API process knows those of the others.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from pydantic import SecretStr

from api.authentication import usable_token
from notifications.settings import Settings

COOKIE = "tidings_signed_in"
LASTS_SECONDS = 12 * 3600
MAX_NAME = 64


class NotSignedInError(Exception):
    """No cookie, or one that is over, of another token or not ours."""


class SignInError(ValueError):
    """What was typed does not let in; the text says why."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who has signed in. Each form of a page carries `form_key`, which no page from elsewhere can read."""

    name: str
    form_key: str

    def owns(self, form_key: str) -> bool:
        return hmac.compare_digest(self.form_key.encode(), form_key.encode())


class SignIns:
    """`secure`: browsers send the cookie over TLS alone. Without a token whoever reaches this machine is let in."""

    def __init__(self, token: SecretStr | None, *, secure: bool, clock: Callable[[], float] = time.time) -> None:
        self._token = token.get_secret_value().strip().encode() if token is not None else None
        self._key = hmac.digest(self._token or secrets.token_bytes(32), b"tidings console", "sha256")
        self._clock = clock
        self.secure = secure

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(usable_token(settings.api_token), secure=settings.public_url.startswith("https://"))

    @property
    def asks_for_token(self) -> bool:
        return self._token is not None

    def sign_in(self, name: str, token: str) -> str:
        """The cookie's value.

        Raises:
            SignInError: no usable name, or not the token.

        """
        name = name.strip()
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise SignInError(f"Type your name, in at most {MAX_NAME} characters: the log shows who did what.")
        if self._token is not None and not hmac.compare_digest(token.strip().encode(), self._token):
            raise SignInError("That is not the API token. It is in TIDINGS_API_TOKEN of the API.")
        said = json.dumps([name, int(self._clock()) + LASTS_SECONDS]).encode()
        return f"{base64.urlsafe_b64encode(said).decode()}.{self._mac('cookie', said)}"

    def visitor(self, cookie: str | None) -> Visitor:
        """Whose cookie it is.

        Raises:
            NotSignedInError: nobody's.

        """
        encoded, _, mac = (cookie or "").partition(".")
        try:
            said = base64.urlsafe_b64decode(encoded.encode())
        except (binascii.Error, UnicodeEncodeError):
            raise NotSignedInError from None
        if not hmac.compare_digest(mac.encode(), self._mac("cookie", said).encode()):
            raise NotSignedInError
        name, until = json.loads(said)
        if until <= self._clock():
            raise NotSignedInError
        return Visitor(name, self._mac("form", said))

    def _mac(self, what: str, said: bytes) -> str:
        return hmac.new(self._key, what.encode() + b":" + said, hashlib.sha256).hexdigest()
