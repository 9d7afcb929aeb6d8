"""The profile of a guest: what the event's own recipient block says."""

from collections.abc import Mapping
from typing import Any

from notifications.profiles.fields import usable_profile
from notifications.profiles.profile import Profile

_FIELDS = ("name", "email", "phone", "locale", "timezone")


def guest_profile(recipient_id: str, guest: Mapping[str, Any]) -> Profile:
    """`recipient_id` is `notifications.addresses.guest_id` of the same block."""
    return usable_profile(recipient_id, {name: guest.get(name) for name in _FIELDS}, source="guest")
