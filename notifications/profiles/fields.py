"""A profile from a document that others wrote: strictly, or keeping whatever of it can be used."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from notifications.addresses import normalise_email, normalise_phone
from notifications.profiles.profile import Device, Profile
from notifications.statuses import Channel

PLATFORMS = frozenset({"android", "ios", "web"})
MAX_DEVICES = 100  # one push each: a list longer than this is a fault of its source
MAX_TEXT = 4096  # characters; longer than any token or name
MAX_DEPTH = 20

_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,8}(?:[-_][A-Za-z0-9]{1,8})*")

log = structlog.get_logger()


def normalise_timezone(text: str) -> str:
    """Raises ValueError for what is not an IANA name, whichever way the system's tables say so."""
    try:
        ZoneInfo(text)
    except (ValueError, KeyError, OSError):
        raise ValueError("not an IANA time zone: write one such as Europe/Berlin") from None
    return text


def normalise_locale(text: str) -> str:
    """`de_AT` is de-AT; raises ValueError for what is not a language tag (BCP 47)."""
    if not _LANGUAGE_TAG.fullmatch(text):
        raise ValueError("not a language tag: write one such as de or de-AT")
    return text.replace("_", "-")


def plain_text(value: Any) -> str:
    """Raises ValueError for what is not text that Postgres can keep."""
    if not isinstance(value, str):
        raise ValueError("must be text")  # noqa: TRY004 - one kind of error for one kind of fault
    if len(value) > MAX_TEXT or "\x00" in value or (not value.isascii() and _has_surrogate(value)):
        raise ValueError(f"must be at most {MAX_TEXT} characters, without NUL and unpaired surrogates")
    return value


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in value)


def _check_storable(value: Any, depth: int = 0) -> None:
    """Raises ValueError for what Postgres would refuse as `jsonb` later on."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, str):
        plain_text(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            plain_text(key)
            _check_storable(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_storable(item, depth + 1)
    elif isinstance(value, float) and value - value != 0:
        raise ValueError("infinite or not a number")


_TEXT_FIELDS: Mapping[str, Callable[[str], str]] = {
    "name": str,
    "email": normalise_email,
    "phone": normalise_phone,
    "locale": normalise_locale,
    "timezone": normalise_timezone,
}


def _device(value: Any) -> Device:
    if not isinstance(value, Mapping):
        raise ValueError("must be an object")  # noqa: TRY004 - one kind of error for one kind of fault
    device = Device(*(plain_text(value.get(name)) for name in ("id", "token", "platform")))
    if not device.id or not device.token or device.platform not in PLATFORMS:
        raise ValueError("a device has an `id`, a `token` and a `platform` (android, ios or web)")
    return device


def _preference(value: Any) -> tuple[tuple[str, Channel], bool]:
    if not isinstance(value, Mapping) or not isinstance(value.get("opted_in"), bool):
        raise ValueError("a preference has `category`, `channel` and `opted_in` (true or false)")  # noqa: TRY004 - the same
    return (plain_text(value.get("category")), Channel(plain_text(value.get("channel")))), value["opted_in"]


Fault = Callable[[str, ValueError], None]


def _entries(document: Mapping[str, Any], name: str, read: Callable[[Any], Any], fault: Fault) -> list[Any]:
    """The entries of a list that can be read."""
    values = document.get(name)
    if values is None:
        return []
    if not isinstance(values, list):
        fault(name, ValueError("must be a list"))
        return []
    kept = []
    for position, value in enumerate(values):
        try:
            kept.append(read(value))
        except ValueError as error:
            fault(f"{name}[{position}]", error)
    return kept


def _devices(document: Mapping[str, Any], fault: Fault) -> tuple[Device, ...]:
    by_id: dict[str, Device] = {}
    for device in _entries(document, "devices", _device, fault):
        by_id.setdefault(device.id, device)
    if len(by_id) > MAX_DEVICES:
        fault("devices", ValueError(f"at most {MAX_DEVICES} devices"))
    return tuple(by_id[device_id] for device_id in sorted(by_id)[:MAX_DEVICES])


def _attributes(document: Mapping[str, Any], fault: Fault) -> dict[str, Any]:
    given = document.get("attributes")
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        fault("attributes", ValueError("must be an object"))
        return {}
    kept = {}
    for name, value in given.items():
        try:
            _check_storable({name: value})
        except ValueError as error:
            fault("attributes", error)
        else:
            kept[name] = value
    return kept


def read_profile(recipient_id: str, document: Mapping[str, Any], fault: Fault) -> Profile:
    """What can be used of the document; `fault` hears of everything else."""
    texts: dict[str, str] = {}
    for name, normalise in _TEXT_FIELDS.items():
        value = document.get(name)
        if value is None or value == "":
            continue
        try:
            texts[name] = normalise(plain_text(value))
        except ValueError as error:
            fault(name, error)
    return Profile(
        recipient_id=recipient_id,
        **texts,
        attributes=_attributes(document, fault),
        devices=_devices(document, fault),
        preferences=dict(_entries(document, "preferences", _preference, fault)),
    )


def usable_profile(recipient_id: str, document: Mapping[str, Any], *, source: str) -> Profile:
    """What can be used of the document; the rest is dropped and logged by the name of its field only."""

    def fault(field: str, _: ValueError) -> None:
        log.warning("profile.field_dropped", field=field, source=source)

    return read_profile(recipient_id, document, fault)


def checked_profile(recipient_id: str, document: Mapping[str, Any]) -> Profile:
    """The document as a profile, for who can still mend it.

    Raises:
        ValueError: every fault, by field, without values.

    """
    faults: list[str] = []
    profile = read_profile(recipient_id, document, lambda field, error: faults.append(f"{field}: {error}"))
    if faults:
        raise ValueError("; ".join(faults))
    return profile
