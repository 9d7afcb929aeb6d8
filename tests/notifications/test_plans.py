"""Plans and their rows: made once, made again after a wait, and cancelled ones."""

import dataclasses
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select

from notifications.database import Sessions, execute, transaction
from notifications.ledger import Ledger, Result, Try
from notifications.plans import Plans, UnknownNotificationError
from notifications.profiles.profile import Profile
from notifications.queries.recipients import disable_device, set_preference, suppress, unsuppress, upsert_recipient
from notifications.statuses import AttemptOutcome, Channel, MessageStatus, NotificationStatus, RoutingMode
from notifications.tables import Message, Notification, OutboxEntry
from notifications.tables import Plan as PlanRow
from tests.support.planning import HASH_KEY, definition_of, insert_notification, plans_for, profile_of, refer

HOUR = timedelta(hours=1)


class CountingSource:
    """One profile, as an external service would keep it."""

    is_local = False

    def __init__(self, profile: Profile | None) -> None:
        self.profile = profile
        self.asked = 0

    async def get(self, recipient_id: str) -> Profile | None:
        self.asked += 1
        return self.profile

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def plans(sessions: Sessions) -> Plans:
    return plans_for(sessions)


async def messages(sessions: Sessions, origin: UUID) -> list[Message]:
    async with sessions() as session:
        return list(await session.exec(select(Message).where(Message.origin_id == origin).order_by(col(Message.seq))))


async def ends(sessions: Sessions, origin: UUID) -> list[tuple[str, str, str | None]]:
    return [(row.channel, row.status, row.reason) for row in await messages(sessions, origin)]


async def notification_of(sessions: Sessions, origin: UUID) -> Notification:
    async with sessions() as session:
        return (await session.exec(select(Notification).where(Notification.id == origin))).one()


async def told(sessions: Sessions, origin: UUID) -> list[tuple[int, str, str | None, int]]:
    async with sessions() as session:
        rows = await session.exec(
            select(OutboxEntry).where(OutboxEntry.origin_id == origin).order_by(col(OutboxEntry.id))
        )
        return [(row.seq, row.status, row.reason, row.version) for row in rows]


async def test_a_plan_becomes_rows_and_the_notification_runs(plans: Plans, sessions: Sessions):
    profile = profile_of("cus-plan", tokens=["token-a", "token-b"])
    origin = await insert_notification(sessions, definition_of(Channel.PUSH, Channel.EMAIL), profile=profile)
    state = await plans.make(origin, 1)
    assert [(each.seq, each.step, each.channel, each.status) for each in state.messages] == [
        (1, 0, Channel.PUSH, MessageStatus.PENDING),
        (2, 0, Channel.PUSH, MessageStatus.PENDING),
        (3, 1, Channel.EMAIL, MessageStatus.PENDING),
    ]
    rows = await messages(sessions, origin)
    assert [row.address for row in rows] == ["token-a", "token-b", profile.email]
    assert {row.locale for row in rows} == {"de"}
    assert all(row.due_at is not None for row in rows)
    notification = await notification_of(sessions, origin)
    assert notification.status == NotificationStatus.RUNNING
    assert notification.due_at == notification.received_at
    assert notification.expires_at == rows[0].expires_at == state.expires_at


async def test_the_same_version_is_planned_once(sessions: Sessions):
    source = CountingSource(profile_of("cus-once"))
    plans = plans_for(sessions, profiles=source)
    origin = await insert_notification(sessions, definition_of(), recipient_id="cus-once")
    first = await plans.make(origin, 1)
    source.profile = None
    assert await plans.make(origin, 1) == first
    assert source.asked == 1
    assert not plans.is_local


async def test_a_fallback_lets_only_its_first_usable_channel_begin(plans: Plans, sessions: Sessions):
    definition = definition_of(Channel.PUSH, Channel.EMAIL, Channel.SMS, mode=RoutingMode.FALLBACK)
    origin = await insert_notification(sessions, definition, profile=profile_of("cus-fallback"))
    assert (await plans.make(origin, 1)).mode is RoutingMode.FALLBACK
    rows = await messages(sessions, origin)
    assert [row.due_at is not None for row in rows] == [False, True, False]
    assert [row.status for row in rows] == ["skipped", "pending", "pending"]


async def test_a_later_time_is_waited_for(plans: Plans, sessions: Sessions):
    at = datetime.now(UTC) + HOUR
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-later"), sendat=at)
    assert (await plans.make(origin, 1)).due_at == at
    notification = await notification_of(sessions, origin)
    assert (notification.status, notification.wake_at) == (NotificationStatus.SCHEDULED, at)
    (row,) = await messages(sessions, origin)
    assert (row.not_before, row.due_at, row.expires_at) == (at, at, at + 72 * HOUR)


async def test_skips_are_told_when_they_are_planned(plans: Plans, sessions: Sessions):
    profile = profile_of("cus-skips", email=None)
    origin = await insert_notification(sessions, definition_of(Channel.EMAIL, Channel.SMS), profile=profile)
    await plans.make(origin, 1)
    assert await ends(sessions, origin) == [("email", "skipped", "no_address"), ("sms", "pending", None)]
    assert await told(sessions, origin) == [(1, "skipped", "no_address", 1)]


async def test_an_unknown_recipient_is_skipped_on_every_channel(plans: Plans, sessions: Sessions):
    definition = definition_of(Channel.EMAIL, Channel.SMS)
    for recipient_id in (None, f"nobody-{uuid4()}"):
        origin = await insert_notification(
            sessions, definition.model_copy(update={"event": f"tests.{uuid4()}"}), recipient_id=recipient_id
        )
        await plans.make(origin, 1)
        assert {(status, reason) for _, status, reason in await ends(sessions, origin)} == {
            ("skipped", "unknown_recipient")
        }


async def test_a_guest_needs_no_profile(plans: Plans, sessions: Sessions):
    guest = {"email": "guest@example.org", "name": "Guest", "locale": "fr"}
    origin = await insert_notification(
        sessions, definition_of(Channel.EMAIL, Channel.SMS), recipient_id=f"guest-{uuid4()}", guest=guest
    )
    await plans.make(origin, 1)
    assert await ends(sessions, origin) == [("email", "pending", None), ("sms", "skipped", "no_address")]
    row = (await messages(sessions, origin))[0]
    assert (row.address, row.locale) == ("guest@example.org", "fr")


async def test_what_has_expired_is_never_planned(plans: Plans, sessions: Sessions):
    past = datetime.now(UTC) - HOUR
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-old"), expires_at=past)
    await plans.make(origin, 1)
    assert await ends(sessions, origin) == [("email", "skipped", "expired")]
    assert await told(sessions, origin) == [(1, "skipped", "expired", 1)]


async def test_a_cancelled_notification_plans_cancelled_rows(plans: Plans, sessions: Sessions):
    profile = profile_of("cus-cancelled", phone=None)
    definition = definition_of(Channel.EMAIL, Channel.SMS)
    origin = await insert_notification(sessions, definition, profile=profile, cancelled_at=datetime.now(UTC))
    assert (await plans.make(origin, 1)).is_cancelled
    assert await ends(sessions, origin) == [("email", "cancelled", "cancelled"), ("sms", "skipped", "no_address")]
    assert [(seq, status) for seq, status, _, _ in await told(sessions, origin)] == [(1, "cancelled"), (2, "skipped")]


async def test_the_settings_cap_the_budget(sessions: Sessions):
    plans = plans_for(sessions, max_retry_for="20s")
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-capped"))
    await plans.make(origin, 1)
    assert [row.retry_for for row in await messages(sessions, origin)] == [timedelta(seconds=20)]


async def test_a_second_plan_follows_the_recipient(plans: Plans, sessions: Sessions):
    profile = profile_of("cus-again", tokens=["token-old", "token-kept"])
    origin = await insert_notification(sessions, definition_of(Channel.PUSH, Channel.EMAIL), profile=profile)
    await plans.make(origin, 1)
    async with transaction(sessions) as session:
        moved = dataclasses.replace(profile_of("cus-again", tokens=["token-new"]), email="new@example.org")
        await upsert_recipient(session, moved, hash_key=HASH_KEY)
        await disable_device(session, "cus-again", token="token-old", reason="dead_token")
    state = await plans.make(origin, 2)
    assert state.plan_version == 2
    assert [
        (row.seq, row.address, row.status, row.reason, row.plan_version) for row in await messages(sessions, origin)
    ] == [
        (1, "token-kept", "pending", None, 1),
        (2, "token-old", "skipped", "replanned", 1),
        (3, profile.email, "skipped", "replanned", 1),
        (4, "token-new", "pending", None, 2),
        (5, "new@example.org", "pending", None, 2),
    ]
    assert [(seq, reason) for seq, _, reason, _ in await told(sessions, origin)] == [(2, "replanned"), (3, "replanned")]
    assert await plans.make(origin, 2) == state


async def test_a_second_plan_keeps_what_was_tried(plans: Plans, sessions: Sessions):
    profile = profile_of("cus-tried")
    origin = await insert_notification(sessions, definition_of(), profile=profile)
    await plans.make(origin, 1)
    now = datetime.now(UTC)
    ledger = Ledger(sessions, process="worker")
    await ledger.claim([Try(origin, 1, 1, now, "smtp")])
    await ledger.record([Result(origin, 1, 1, "smtp", AttemptOutcome.TRANSIENT, now, now, "smtp_451")])
    async with transaction(sessions) as session:
        await upsert_recipient(session, dataclasses.replace(profile, email=None), hash_key=HASH_KEY)
    await plans.make(origin, 2)
    assert await ends(sessions, origin) == [("email", "pending", "smtp_451")]


async def test_a_second_plan_names_the_new_reason_of_a_channel_or_an_address(plans: Plans, sessions: Sessions):
    definition = definition_of(Channel.PUSH, Channel.EMAIL, Channel.SMS, consent="opted_in")  # type: ignore[arg-type]
    profile = profile_of("cus-reasons", tokens=["token-1", "token-2"])
    origin = await insert_notification(sessions, definition, profile=profile)
    await plans.make(origin, 1)
    async with transaction(sessions) as session:
        await disable_device(session, "cus-reasons", token="token-1", reason="dead_token")
        await suppress(session, refer(Channel.PUSH, "token-2"), Channel.PUSH, "all", "manual", "api")
        await set_preference(session, "cus-reasons", "receipts", Channel.EMAIL, opted_in=False, source="api")
    await plans.make(origin, 2)
    assert await ends(sessions, origin) == [
        ("push", "skipped", "replanned"),
        ("push", "skipped", "suppressed"),
        ("email", "skipped", "opted_out"),
        ("sms", "pending", None),
    ]


async def test_a_second_plan_sends_what_the_first_had_to_skip(plans: Plans, sessions: Sessions):
    definition = definition_of(Channel.EMAIL, Channel.SMS, consent="opted_out")  # type: ignore[arg-type]
    profile = profile_of("cus-allowed")
    origin = await insert_notification(sessions, definition, profile=profile)
    assert profile.email is not None
    async with transaction(sessions) as session:
        await set_preference(session, "cus-allowed", "receipts", Channel.EMAIL, opted_in=True, source="api")
        await suppress(session, refer(Channel.EMAIL, profile.email), Channel.EMAIL, "all", "manual", "api")
    await plans.make(origin, 1)
    async with transaction(sessions) as session:
        await unsuppress(session, refer(Channel.EMAIL, profile.email), Channel.EMAIL, "all")
        await set_preference(session, "cus-allowed", "receipts", Channel.SMS, opted_in=True, source="api")
    await plans.make(origin, 2)
    assert await ends(sessions, origin) == [
        ("email", "skipped", "suppressed"),
        ("sms", "skipped", "opted_out"),
        ("email", "pending", None),
        ("sms", "pending", None),
    ]


async def test_what_an_operator_gave_up_is_not_planned_again(plans: Plans, sessions: Sessions):
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-given-up"))
    await plans.make(origin, 1)
    async with transaction(sessions) as session:
        statement = "UPDATE messages SET status = 'skipped', reason = 'operator' WHERE origin_id = :id"
        await execute(session, statement, {"id": origin})
    await plans.make(origin, 2)
    assert await ends(sessions, origin) == [("email", "skipped", "operator")]


async def test_a_new_time_moves_the_plan_and_its_expiry_survives_a_second_plan(plans: Plans, sessions: Sessions):
    at = datetime.now(UTC) + HOUR
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-moved"), sendat=at)
    await plans.make(origin, 1)
    assert await Ledger(sessions, process="api").reschedule(origin, at + HOUR)
    state = await plans.make(origin, 2)
    assert (state.due_at, state.expires_at) == (at + HOUR, at + 73 * HOUR)
    assert [row.expires_at for row in await messages(sessions, origin)] == [at + 73 * HOUR]


async def test_the_state_names_nobody(plans: Plans, sessions: Sessions):
    profile = profile_of("cus-secret", tokens=["token-secret"])
    origin = await insert_notification(sessions, definition_of(*Channel), profile=profile)
    text = repr(await plans.make(origin, 1))
    for secret in ("cus-secret", "token-secret", profile.email, profile.phone, profile.name):
        assert secret is not None
        assert secret not in text


async def test_the_profile_is_kept_as_it_was_planned(plans: Plans, sessions: Sessions):
    profile = profile_of("cus-kept", tokens=["token-1"], attributes={"plan": "pro"})
    origin = await insert_notification(sessions, definition_of(), profile=profile)
    await plans.make(origin, 1)
    async with sessions() as session:
        kept = (await session.exec(select(PlanRow).where(PlanRow.notification_id == origin))).one()
    assert kept.profile["attributes"] == {"plan": "pro"}
    assert kept.profile["devices"] == [{"id": "device-token-1", "token": "token-1", "platform": "ios"}]


async def test_what_is_not_there_cannot_be_planned(plans: Plans):
    with pytest.raises(UnknownNotificationError):
        await plans.make(uuid4(), 1)
