"""Profiles from our own tables."""

from uuid import uuid4

from structlog.testing import capture_logs

from notifications.database import Sessions, transaction
from notifications.profiles.fields import checked_profile
from notifications.profiles.http import HttpProfileSource
from notifications.profiles.own_tables import OwnTablesProfileSource
from notifications.profiles.profile import Device, Profile
from notifications.profiles.source import build_profile_source
from notifications.queries import recipients as queries
from notifications.settings import Settings
from tests.support.planning import HASH_KEY as KEY


async def test_a_profile_comes_back_as_it_was_written_without_disabled_devices(sessions: Sessions):
    recipient_id, token = f"cus_{uuid4().hex}", uuid4().hex
    written = checked_profile(
        recipient_id,
        {
            "name": "Ana",
            "email": "ana@example.org",
            "timezone": "Europe/Berlin",
            "attributes": {"plan": "pro"},
            "devices": [{"id": name, "token": token + name, "platform": "ios"} for name in ("a", "b")],
        },
    )
    async with transaction(sessions) as session:
        await queries.upsert_recipient(session, written, hash_key=KEY)
        await queries.disable_device(session, recipient_id, device_id="a", reason="dead")
    source = OwnTablesProfileSource(sessions)
    profile = await source.get(recipient_id)
    await source.close()
    assert profile is not None
    assert profile.devices == (Device("b", token + "b", "ios"),)
    assert (profile.name, profile.email, profile.timezone) == ("Ana", "ana@example.org", "Europe/Berlin")
    assert profile.attributes == {"plan": "pro"}


async def test_an_unknown_recipient_is_none(sessions: Sessions):
    assert await OwnTablesProfileSource(sessions).get(f"cus_{uuid4().hex}") is None


async def test_a_zone_that_this_machine_does_not_know_is_left_out(sessions: Sessions):
    recipient_id = f"cus_{uuid4().hex}"
    async with transaction(sessions) as session:
        stranger = Profile(recipient_id=recipient_id, timezone="Europe/Atlantis")
        await queries.upsert_recipient(session, stranger, hash_key=KEY)
    with capture_logs() as logs:
        profile = await OwnTablesProfileSource(sessions).get(recipient_id)
    assert profile is not None
    assert profile.timezone is None
    assert [entry["field"] for entry in logs] == ["timezone"]


async def test_the_settings_decide_where_profiles_come_from(sessions: Sessions):
    own = build_profile_source(Settings(), sessions)
    external = build_profile_source(Settings(profile_url="http://127.0.0.1:1/profiles"), sessions)
    assert isinstance(own, OwnTablesProfileSource)
    assert isinstance(external, HttpProfileSource)
    assert (own.is_local, external.is_local) == (True, False)
    await external.close()
