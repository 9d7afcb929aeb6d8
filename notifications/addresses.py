"""Addresses: one spelling for each, and the keyed hashes that stand for them outside the columns that hold them."""

import hmac
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from pydantic import SecretStr

from notifications.settings import SettingsError
from notifications.statuses import Channel

MIN_HASH_KEY_BYTES = 16

# Most addresses are such: then only the domain is to be checked, and thousands of addresses share a few of them.
_PLAIN_LOCAL = re.compile(r"[a-z0-9_+-]{1,32}(?:\.[a-z0-9_+-]{1,15}){0,2}")
_PLAIN_DOMAIN = re.compile(r"[A-Za-z0-9.-]+")
_NO_EMAIL = "not an e-mail address: write it as name@example.org"
_SHORT = 200  # characters; the limit of a whole address is 254

_KINDS = {Channel.EMAIL: "email", Channel.SMS: "phone", Channel.WHATSAPP: "phone", Channel.PUSH: "device"}


def require_hash_key(secret: SecretStr | None) -> bytes:
    """The key of every hash below; changing it makes all suppressions and guest ids unfindable.

    Raises:
        SettingsError: unset, or so short that addresses could be guessed.

    """
    key = secret.get_secret_value().encode() if secret is not None else b""
    if len(key) < MIN_HASH_KEY_BYTES:
        raise SettingsError(
            f"TIDINGS_HASH_KEY must be a secret of at least {MIN_HASH_KEY_BYTES} characters, the same for every"
            " process: make one with `openssl rand -hex 32` and keep it"
        )
    return key


def normalise_email(text: str) -> str:
    """The address with its domain in lower case and Unicode in NFC; no network look-up.

    Raises:
        ValueError: says what is wrong without repeating the address.

    """
    stripped = text.strip()
    local, _, domain = stripped.rpartition("@")
    if len(stripped) <= _SHORT and _PLAIN_LOCAL.fullmatch(local) and _PLAIN_DOMAIN.fullmatch(domain):
        return f"{local}@{_domain(domain)}"
    try:
        return validate_email(stripped, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise ValueError(_NO_EMAIL) from None


@lru_cache(maxsize=4096)
def _domain(domain: str) -> str:
    """Raises ValueError for what cannot be one."""
    try:
        return validate_email(f"a@{domain}", check_deliverability=False, test_environment=True).domain
    except EmailNotValidError:
        raise ValueError(_NO_EMAIL) from None


def normalise_phone(text: str) -> str:
    """The number in E.164: `+49 151 1234 5678` is +4915112345678.

    Raises:
        ValueError: says what is wrong without repeating the number.

    """
    if not text.strip().startswith("+"):
        raise ValueError("a phone number must begin with + and the country code: write +4915112345678")
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise ValueError("not a phone number: write + and digits, for example +4915112345678") from None
    if not phonenumbers.is_valid_number(number):
        raise ValueError("no such number in its country's numbering plan: check the country code and the digits")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _canonical(kind: str, address: str) -> str:
    """The spelling that is hashed; unusable text stands for itself, so that this never fails."""
    text = address.strip()
    try:
        if kind == "email":
            return normalise_email(text).casefold()  # no real mailbox differs from another by case alone
        return normalise_phone(text) if kind == "phone" else text
    except ValueError:
        return text.casefold()


def _digest(hash_key: bytes, kind: str, text: str) -> bytes:
    return hmac.digest(hash_key, f"{kind}:{text}".encode("utf-8", "surrogatepass"), "sha256")


def address_ref(hash_key: bytes, channel: Channel, address: str) -> bytes:
    """32 bytes that stand for an address; every spelling of it gives the same. SMS and WhatsApp share theirs."""
    kind = _KINDS[channel]
    return _digest(hash_key, kind, _canonical(kind, address))


def normalised_ref(hash_key: bytes, channel: Channel, address: str) -> bytes:
    """The same of an address that `normalise_email` or `normalise_phone` has given, or of a token: without the cost of
    reading it again.
    """
    kind = _KINDS[channel]
    return _digest(hash_key, kind, address.casefold() if kind == "email" else address.strip())


def recipient_ref(hash_key: bytes, recipient_id: str) -> str:
    """16 hex digits that stand for a recipient in Temporal's search attributes."""
    return _digest(hash_key, "recipient", recipient_id)[:8].hex()


def _is_valid(kind: str, address: str) -> bool:
    try:
        normalise_email(address) if kind == "email" else normalise_phone(address)
    except ValueError:
        return False
    return True


def guest_id(hash_key: bytes, guest: Mapping[str, Any]) -> str:
    """The recipient id of a guest block: from the e-mail address if it can be used, else from the phone number.

    Raises:
        ValueError: the block holds neither.

    """
    given = [(kind, guest.get(kind)) for kind in ("email", "phone")]
    present = [(kind, text) for kind, text in given if isinstance(text, str) and text.strip()]
    if not present:
        raise ValueError("data.recipient needs an `email` or a `phone`")
    kind, text = next(((kind, text) for kind, text in present if _is_valid(kind, text)), present[0])
    return f"guest-{_digest(hash_key, kind, _canonical(kind, text))[:16].hex()}"
