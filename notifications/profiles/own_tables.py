"""Profiles from our own tables."""

import structlog

from notifications.database import Sessions, execute_alone
from notifications.profiles.fields import normalise_timezone
from notifications.profiles.profile import Device, Profile
from notifications.queries.plans import PROFILE

log = structlog.get_logger()


class OwnTablesProfileSource:
    is_local = True

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def get(self, recipient_id: str) -> Profile | None:
        """The profile with its enabled devices. Its preferences are empty: ours are read with the suppressions."""
        rows = await execute_alone(self._sessions, PROFILE, {"id": recipient_id})
        if not rows:
            return None
        recipient = rows[0]
        return Profile(
            recipient_id=recipient_id,
            name=recipient.name,
            email=recipient.email,
            phone=recipient.phone,
            locale=recipient.locale,
            timezone=_known_timezone(recipient.timezone),
            attributes=recipient.attributes,
            devices=tuple(Device(row.device_id, row.token, row.platform) for row in rows if row.device_id is not None),
        )

    async def close(self) -> None:
        """The engine belongs to the process."""


def _known_timezone(name: str | None) -> str | None:
    """A zone that was good when it was written may be unknown to this machine's tables."""
    if name is None:
        return None
    try:
        return normalise_timezone(name)
    except ValueError:
        log.warning("profile.field_dropped", field="timezone", source="own_tables")
        return None
