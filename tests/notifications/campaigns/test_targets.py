"""Whom a campaign would reach, and why not the others."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from notifications.audiences.audience import parse_audience
from notifications.audiences.store import UnknownAudienceError
from notifications.campaigns.targets import DryRun, Reach, SampleTarget, dry_run
from notifications.catalogue.definition import Category
from notifications.database import Sessions, transaction
from notifications.profiles.profile import Device, Profile
from notifications.queries import recipients
from notifications.statuses import Channel, SkipReason
from tests.support.campaigns import category_of
from tests.support.planning import HASH_KEY, refer


async def written(sessions: Sessions, *profiles: Profile) -> None:
    async with transaction(sessions) as session:
        for profile in profiles:
            await recipients.upsert_recipient(session, profile, hash_key=HASH_KEY)


async def chosen(sessions: Sessions, person: str, category: Category, channel: Channel, *, opted_in: bool) -> None:
    async with transaction(sessions) as session:
        await recipients.set_preference(
            session, person, category.name, channel, opted_in=opted_in, source="api", time=datetime.now(UTC)
        )


async def suppressed(sessions: Sessions, address: str, channel: Channel, scope: str = "all") -> None:
    async with transaction(sessions) as session:
        await recipients.suppress(session, refer(channel, address), channel, scope, "manual", "api")


async def run(sessions: Sessions, ids: Sequence[str], channel: Channel, category: Category, **options: Any) -> DryRun:
    async with transaction(sessions) as session:
        return await dry_run(session, parse_audience({"recipients": list(ids)}), channel, category, **options)


@pytest.fixture
def run_id() -> str:
    return uuid.uuid4().hex


@pytest.mark.parametrize(
    ("default", "to_send", "skipped"),
    [
        ("opted_in", 2, {"opted_out": 1, "suppressed": 2, "no_address": 1, "unknown_recipient": 1}),
        ("opted_out", 1, {"opted_out": 5, "unknown_recipient": 1}),
        ("required", 4, {"suppressed": 1, "no_address": 1, "unknown_recipient": 1}),
    ],
)
async def test_every_recipient_is_judged_as_planning_judges_one(
    sessions: Sessions, run_id: str, default: str, to_send: int, skipped: dict[str, int]
) -> None:
    category = category_of(default)
    names = ("plain", "in", "out", "barred", "bounced", "nowhere", "stranger")
    ids = {name: f"{run_id}-{name}" for name in names}
    await written(
        sessions,
        *(
            Profile(recipient_id=ids[name], email=None if name == "nowhere" else f"{ids[name]}@example.org")
            for name in names[:-1]
        ),
    )
    await chosen(sessions, ids["in"], category, Channel.EMAIL, opted_in=True)
    await chosen(sessions, ids["in"], category, Channel.SMS, opted_in=False)  # another channel
    await chosen(sessions, ids["out"], category, Channel.EMAIL, opted_in=False)
    await suppressed(sessions, f"{ids['barred']}@example.org", Channel.EMAIL, category.name)
    await suppressed(sessions, f"{ids['bounced']}@EXAMPLE.org", Channel.EMAIL)
    await suppressed(sessions, f"{ids['plain']}@example.org", Channel.EMAIL, "another category")
    found = await run(sessions, list(ids.values()), Channel.EMAIL, category)
    assert found.reach == Reach(7, to_send, {SkipReason(reason): count for reason, count in skipped.items()})
    assert found.recipients == 7


async def test_push_counts_devices_and_recipients(sessions: Sessions, run_id: str) -> None:
    category = category_of()
    devices = tuple(Device(f"d{number}", f"{run_id}-token-{number}", "ios") for number in range(3))
    await written(sessions, *(Profile(recipient_id=f"{run_id}-{name}", devices=()) for name in ("none", "out")))
    await written(sessions, Profile(recipient_id=f"{run_id}-many", devices=devices))
    async with transaction(sessions) as session:
        await recipients.disable_device(session, f"{run_id}-many", reason="dead", device_id="d0")
        for number in range(2):
            token = f"{run_id}-out-{number}"
            await recipients.upsert_device(session, f"{run_id}-out", f"d{number}", token, "web", hash_key=HASH_KEY)
    await chosen(sessions, f"{run_id}-out", category, Channel.PUSH, opted_in=False)
    await suppressed(sessions, f"{run_id}-token-2", Channel.PUSH)
    ids = [f"{run_id}-{name}" for name in ("none", "out", "many")]
    found = await run(sessions, ids, Channel.PUSH, category)
    assert found.recipients == 3
    assert found.reach == Reach(4, 1, {SkipReason.OPTED_OUT: 1, SkipReason.NO_ADDRESS: 1, SkipReason.SUPPRESSED: 1})
    assert found.sample == (SampleTarget(f"{run_id}-many", "d1", "•••en-1", None),)


async def test_a_sample_shows_no_whole_address(sessions: Sessions, run_id: str) -> None:
    ids = [f"{run_id}-{number}" for number in range(12)]
    await written(sessions, *(Profile(recipient_id=name, email="jane@example.org", locale="de") for name in ids))
    found = await run(sessions, ids, Channel.EMAIL, category_of())
    assert len(found.sample) == 10
    assert {target.address for target in found.sample} == {"j•••@example.org"}
    assert {target.locale for target in found.sample} == {"de"}


async def test_other_channels_and_the_time_it_takes_are_told_when_asked_for(sessions: Sessions, run_id: str) -> None:
    phone = Profile(recipient_id=f"{run_id}-phone", phone="+4915112345678")
    both = Profile(recipient_id=f"{run_id}-both", phone="+4915112345679", email="jane@example.org")
    await written(sessions, phone, both)
    ids, category = [phone.recipient_id, both.recipient_id], category_of()
    found = await run(sessions, ids, Channel.SMS, category, per_second=0.5, other_channels=True)
    assert (found.reach.to_send, found.seconds) == (2, 4.0)
    assert {channel: reach.to_send for channel, reach in found.other_channels.items()} == {
        Channel.PUSH: 0,
        Channel.EMAIL: 1,
        Channel.WHATSAPP: 2,
    }
    without = await run(sessions, ids, Channel.SMS, category)
    assert (without.seconds, without.other_channels) == (None, {})


async def test_a_filter_counts_from_the_moment_that_is_given(sessions: Sessions, run_id: str) -> None:
    mine = {"field": "attributes.run", "op": "eq", "value": run_id}
    recent = {"field": "attributes.bought", "op": "gte", "value": {"now": "-P7D"}}
    await written(
        sessions,
        *(
            Profile(recipient_id=f"{run_id}-{day}", email="jane@example.org", attributes={"run": run_id, "bought": day})
            for day in ("2026-11-01", "2026-11-20")
        ),
    )
    audience = parse_audience({"filter": {"all": [mine, recent]}})
    for now, reached in ((datetime(2026, 11, 7, tzinfo=UTC), 2), (datetime(2026, 11, 22, tzinfo=UTC), 1)):
        async with transaction(sessions) as session:
            found = await dry_run(session, audience, Channel.EMAIL, category_of(), now=now)
        assert found.reach.to_send == reached


async def test_a_saved_audience_that_is_not_there_is_named(sessions: Sessions) -> None:
    missing = uuid.uuid4()
    with pytest.raises(UnknownAudienceError, match=str(missing)):
        async with transaction(sessions) as session:
            await dry_run(session, parse_audience({"list": str(missing)}), Channel.EMAIL, category_of())
