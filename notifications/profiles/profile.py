"""A recipient as planning and templates see one, and the one way to get it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from notifications.statuses import Channel


@dataclass(frozen=True, slots=True)
class Device:
    """`platform` is android, ios or web."""

    id: str
    token: str
    platform: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """`locale` is a BCP 47 tag, `timezone` an IANA name, `phone` E.164.

    `preferences` holds choices kept by an external service; choices made through Tidings are in our tables and win.
    """

    recipient_id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    timezone: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    preferences: Mapping[tuple[str, Channel], bool] = field(default_factory=dict)


class ProfileUnavailableError(Exception):
    """The profile service did not answer and no usable older answer is kept."""


class ProfileSource(Protocol):
    """Reads profiles; `is_local` says that a read is one query in our own database."""

    is_local: bool

    async def get(self, recipient_id: str) -> Profile | None:
        """The profile, or None for an unknown recipient.

        Raises:
            ProfileUnavailableError: try again later.

        """
        ...

    async def close(self) -> None: ...
