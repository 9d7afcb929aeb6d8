"""Which profile source the settings name."""

from notifications.database import Sessions
from notifications.profiles.own_tables import OwnTablesProfileSource
from notifications.profiles.profile import ProfileSource
from notifications.settings import Settings


def build_profile_source(settings: Settings, sessions: Sessions) -> ProfileSource:
    """The external service at `TIDINGS_PROFILE_URL`, or our own tables without one."""
    if settings.profile_url is None:
        return OwnTablesProfileSource(sessions)
    from notifications.profiles.http import HttpProfileSource  # noqa: PLC0415 - its HTTP client takes 3 MB of a worker

    return HttpProfileSource(
        settings.profile_url,
        token=settings.profile_token,
        timeout_seconds=settings.profile_timeout_seconds,
        cache_seconds=settings.profile_cache_seconds,
        stale_seconds=settings.profile_stale_seconds,
    )
