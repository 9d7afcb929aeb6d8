"""Addresses as answers show them: enough to recognise one's own, not enough to use."""

from notifications.statuses import Channel

_DOTS = "•••"


def mask_email(address: str) -> str:
    """`jane@example.org` → `j•••@example.org`."""
    local, at, domain = address.rpartition("@")
    return f"{local[:1]}{_DOTS}@{domain}" if at else _DOTS


def mask_phone(number: str) -> str:
    """`+4915112345678` → `+49•••678`."""
    return f"{number[:3]}{_DOTS}{number[-3:]}" if len(number) >= 8 else _DOTS  # noqa: PLR2004 - E.164 is longer


def mask_token(token: str) -> str:
    """The last four characters of a device token."""
    return _DOTS + token[-4:] if len(token) >= 16 else _DOTS  # noqa: PLR2004 - a short one would be shown whole


def mask(channel: Channel, address: str) -> str:
    if channel is Channel.EMAIL:
        return mask_email(address)
    return mask_token(address) if channel is Channel.PUSH else mask_phone(address)
