"""Recipients, devices, choices and suppressions on a real PostgreSQL."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from notifications.database import Sessions, transaction
from notifications.profiles.profile import Device, Profile
from notifications.queries import recipients as queries
from notifications.statuses import Channel
from tests.support.planning import HASH_KEY as KEY
from tests.support.planning import refer


@pytest.fixture
async def person(sessions: Sessions) -> str:
    recipient_id = f"cus_{uuid4().hex}"
    phone = Device("phone", f"token-{uuid4().hex}", "android")
    async with transaction(sessions) as session:
        await queries.upsert_recipient(
            session, Profile(recipient_id=recipient_id, name="Ana", devices=(phone,)), hash_key=KEY
        )
    return recipient_id


async def _device(sessions: Sessions, recipient_id: str, device_id: str = "phone"):
    async with sessions() as session:
        return next(device for device in await queries.list_devices(session, recipient_id) if device.id == device_id)


async def test_a_second_write_replaces_the_fields_and_keeps_the_devices(sessions: Sessions, person: str):
    async with transaction(sessions) as session:
        await queries.upsert_recipient(
            session, Profile(recipient_id=person, locale="de", attributes={"plan": "pro"}), hash_key=KEY
        )
        await queries.upsert_recipient(
            session, Profile(recipient_id=person, locale="de", attributes={"plan": "pro"}), hash_key=KEY
        )
    async with sessions() as session:
        kept = await queries.read_recipient(session, person)
        assert kept is not None
        assert (kept.name, kept.locale, kept.attributes) == (None, "de", {"plan": "pro"})
        assert kept.updated_at > kept.created_at
    assert (await _device(sessions, person)).disabled_at is None


async def test_the_hash_of_an_address_is_kept_with_it_and_goes_with_it(sessions: Sessions, person: str):
    async with transaction(sessions) as session:
        reachable = Profile(recipient_id=person, email="Ana@Example.org", phone="+4915112345678")
        await queries.upsert_recipient(session, reachable, hash_key=KEY)
    async with transaction(sessions) as session:
        kept = await queries.read_recipient(session, person)
        assert kept is not None
        assert kept.email_ref == refer(Channel.EMAIL, "ana@example.org")
        assert kept.phone_ref == refer(Channel.WHATSAPP, "+4915112345678")
        device = (await queries.list_devices(session, person))[0]
        assert device.token_ref == refer(Channel.PUSH, device.token)
        await queries.upsert_device(session, person, "phone", "renewed", "ios", hash_key=KEY)
        await queries.upsert_recipient(session, Profile(recipient_id=person), hash_key=KEY)
    async with sessions() as session:
        kept = await queries.read_recipient(session, person)
        assert kept is not None
        assert (kept.email_ref, kept.phone_ref) == (None, None)
    assert (await _device(sessions, person)).token_ref == refer(Channel.PUSH, "renewed")


async def test_a_dead_token_stays_disabled_until_the_device_has_another(sessions: Sessions, person: str):
    token = (await _device(sessions, person)).token
    async with transaction(sessions) as session:
        assert await queries.disable_device(session, person, token=token, reason="fcm_unregistered")
        assert not await queries.disable_device(session, person, token=token, reason="fcm_unregistered")
        await queries.upsert_device(session, person, "phone", token, "ios", hash_key=KEY)
    dead = await _device(sessions, person)
    assert (dead.disabled_reason, dead.platform) == ("fcm_unregistered", "ios")
    async with transaction(sessions) as session:
        await queries.upsert_device(session, person, "phone", f"{token}-renewed", "ios", hash_key=KEY)
    alive = await _device(sessions, person)
    assert (alive.disabled_at, alive.disabled_reason) == (None, None)


async def test_a_token_renewed_while_the_old_one_failed_stays_in_use(sessions: Sessions, person: str):
    async with transaction(sessions) as session:
        assert not await queries.disable_device(session, person, device_id="phone", token="the old one", reason="dead")
    assert (await _device(sessions, person)).disabled_at is None


async def test_disabling_needs_to_know_which_device(sessions: Sessions, person: str):
    async with sessions() as session:
        with pytest.raises(ValueError, match="device_id, a token"):
            await queries.disable_device(session, person, reason="dead")


async def test_a_phone_that_changed_hands_no_longer_gets_the_former_users_messages(sessions: Sessions, person: str):
    token = (await _device(sessions, person)).token
    newcomer = f"cus_{uuid4().hex}"
    async with transaction(sessions) as session:
        await queries.upsert_recipient(
            session, Profile(recipient_id=newcomer, devices=(Device("mine", token, "android"),)), hash_key=KEY
        )
    assert (await _device(sessions, person)).disabled_reason == "moved"
    assert (await _device(sessions, newcomer, "mine")).disabled_at is None


async def test_the_newest_choice_wins_in_whatever_order_they_come(sessions: Sessions, person: str):
    now = datetime.now(UTC)
    async with transaction(sessions) as session:
        for opted_in, time, kept in (
            (True, now, True),
            (False, now + timedelta(seconds=2), True),
            (True, now + timedelta(seconds=1), False),
        ):
            said = await queries.set_preference(
                session, person, "offers", Channel.EMAIL, opted_in=opted_in, source="api", time=time
            )
            assert said is kept
    async with sessions() as session:
        (kept,) = await queries.list_preferences(session, person)
        assert (kept.category, kept.channel, kept.opted_in) == ("offers", Channel.EMAIL, False)


async def test_suppressing_twice_keeps_the_first_reason_and_lifting_it_works_once(sessions: Sessions):
    ref = uuid4().bytes * 2
    async with transaction(sessions) as session:
        assert await queries.suppress(session, ref, Channel.EMAIL, "all", "hard_bounce", "smtp")
        assert not await queries.suppress(session, ref, Channel.EMAIL, "all", "manual", "api")
    async with transaction(sessions) as session:
        assert [
            row.reason for row in await queries.list_suppressions(session, limit=1000) if row.address_ref == ref
        ] == ["hard_bounce"]
        assert await queries.unsuppress(session, ref, Channel.EMAIL, "all")
        assert not await queries.unsuppress(session, ref, Channel.EMAIL, "all")


async def test_pages_of_suppressions_follow_each_other(sessions: Sessions):
    ref = uuid4().bytes
    async with transaction(sessions) as session:
        for channel in (Channel.EMAIL, Channel.PUSH, Channel.SMS):
            await queries.suppress(session, ref, channel, "all", "manual", "api")
        first = (ref, "email", "all")
        assert [row.channel for row in await queries.list_suppressions(session, after=first, limit=2)] == [
            "push",
            "sms",
        ]


async def test_deleting_a_recipient_takes_devices_and_choices_along(sessions: Sessions, person: str):
    async with transaction(sessions) as session:
        await queries.set_preference(session, person, "offers", Channel.EMAIL, opted_in=True, source="api")
        assert await queries.delete_device(session, person, "phone")
        assert not await queries.delete_device(session, person, "phone")
        assert await queries.delete_recipient(session, person)
        assert not await queries.delete_recipient(session, person)
        assert await queries.list_preferences(session, person) == []
        assert await queries.list_devices(session, person) == []
