"""The links by which people stop messages: made for each promotional message, read when somebody follows one.

A token says who, which category and which channel, encrypted and signed in one (AES-SIV, RFC 5297), so that it needs no
row that could be removed: a mail lies in its mailbox longer than the ledger keeps anything (docs/adr/0028).
"""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pydantic import SecretStr

from notifications.claims import Claim
from notifications.providers.base import Content, EmailContent
from notifications.settings import Settings, SettingsError
from notifications.statuses import Channel, NotificationType

DERIVED_KEY = 0  # the id of the key made from TIDINGS_HASH_KEY
MAX_KEY_NUMBER = 255  # it is one byte of the token
MAX_LINK = 900  # with the field's name it has to fit on one line of a mail, 998 octets: a link cannot be folded

_PURPOSE = b"tidings unsubscribe links"
_TAG_BYTES = 16
_CODES = {Channel.EMAIL: "e", Channel.PUSH: "p", Channel.SMS: "s", Channel.WHATSAPP: "w"}
_CHANNELS = {code: channel for channel, code in _CODES.items()}
_TOKEN = re.compile(rf"[A-Za-z0-9_-]{{24,{MAX_LINK}}}")
_SECRET = re.compile(r"(?P<number>[1-9]\d{0,2}):(?P<secret>\S{16,})")


class ForgedTokenError(ValueError):
    """The token was not made here, is incomplete, or its key is no longer kept. `reason` is a word for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LinkTooLongError(ValueError):
    """A recipient id so long that no line of a mail can hold a link with it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a token is about, and what they may stop by it."""

    recipient_id: str
    category: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class MessageLinks:
    """Addresses of two pages; `links` of a template."""

    unsubscribe: str
    preferences: str

    def variables(self) -> Mapping[str, str]:
        return {"unsubscribe": self.unsubscribe, "preferences": self.preferences}

    def headers(self) -> Mapping[str, str]:
        """RFC 2369 and RFC 8058: mail programs show a button that posts to the link, without a page."""
        return {"List-Unsubscribe": f"<{self.unsubscribe}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


# Stand in for real links where a template is only tried out.
SAMPLE_LINKS = MessageLinks("https://tidings.example/u/sample", "https://tidings.example/u/sample/preferences")


def with_headers(content: Content, links: MessageLinks) -> Content:
    """The content with the header fields of its links, where the channel has such."""
    return replace(content, headers=links.headers()) if isinstance(content, EmailContent) else content


class UnsubscribeLinks:
    """Makes and reads tokens. The same subject and key give the same token: nothing random has to be kept."""

    def __init__(self, secrets: Mapping[int, bytes], *, public_url: str) -> None:
        """The first of the secrets makes new tokens; all of them are read."""
        self._ciphers = {number: AESSIV(_key(secret)) for number, secret in secrets.items()}
        self._current = next(iter(secrets))
        self._base = public_url.rstrip("/")

    @classmethod
    def of(cls, settings: Settings, hash_key: bytes) -> "UnsubscribeLinks":
        """The keys of the settings go first; that of the hash key stays readable, for mails from before.

        Raises:
            SettingsError: TIDINGS_LINK_KEYS cannot be read.

        """
        return cls({**read_secrets(settings.link_keys), DERIVED_KEY: hash_key}, public_url=settings.public_url)

    def of_claim(self, claim: Claim) -> MessageLinks | None:
        """None where the message is not one that its recipient can stop: only promotional ones are.

        Raises:
            LinkTooLongError: see `make`.

        """
        if claim.type is not NotificationType.PROMOTIONAL or claim.recipient_id is None:
            return None
        return self.make(Subject(claim.recipient_id, claim.category, claim.channel))

    def make(self, subject: Subject) -> MessageLinks:
        """The links of one message.

        Raises:
            LinkTooLongError: the recipient's id has some 600 bytes or more.

        """
        said = "\0".join([_CODES[subject.channel], subject.category, subject.recipient_id]).encode()
        number = bytes([self._current])
        sealed = self._ciphers[self._current].encrypt(said, [number])
        token = base64.urlsafe_b64encode(number + sealed).rstrip(b"=").decode()
        links = MessageLinks(f"{self._base}/u/{token}", f"{self._base}/u/{token}/preferences")
        if len(links.unsubscribe) > MAX_LINK:
            raise LinkTooLongError("the recipient's id is too long for an unsubscribe link")
        return links

    def read(self, token: str) -> Subject:
        """Whom the token is about.

        Raises:
            ForgedTokenError: it is not one of ours as we made it.

        """
        if not _TOKEN.fullmatch(token):
            raise ForgedTokenError("garbled")
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except (binascii.Error, ValueError):
            raise ForgedTokenError("garbled") from None
        cipher = self._ciphers.get(raw[0])
        if cipher is None:
            raise ForgedTokenError("unknown_key")
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token or len(raw) <= 1 + _TAG_BYTES:
            raise ForgedTokenError("garbled")
        try:
            code, category, recipient_id = cipher.decrypt(raw[1:], [raw[:1]]).decode().split("\0", 2)
        except InvalidTag:
            raise ForgedTokenError("forged") from None
        return Subject(recipient_id, category, _CHANNELS[code])


def read_secrets(secret: SecretStr | None) -> dict[int, bytes]:
    """`2:new,1:old` by number, in this order.

    Raises:
        SettingsError: says how they are written.

    """
    found: dict[int, bytes] = {}
    for part in (secret.get_secret_value() if secret is not None else "").split(","):
        if not part.strip():
            continue
        match = _SECRET.fullmatch(part.strip())
        number = int(match["number"]) if match is not None else 0
        if match is None or number > MAX_KEY_NUMBER or number in found:
            raise SettingsError(
                "TIDINGS_LINK_KEYS must be `number:secret`, separated by commas, the newest first: each number once,"
                f" from 1 to {MAX_KEY_NUMBER}, each secret at least 16 characters (`openssl rand -hex 32`)"
            )
        found[number] = match["secret"].encode()
    return found


def _key(secret: bytes) -> bytes:
    """64 bytes, for AES-256-SIV, from a secret that may serve other purposes as well."""
    return hmac.digest(secret, _PURPOSE, "sha512")
