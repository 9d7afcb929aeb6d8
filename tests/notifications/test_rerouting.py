"""An operator's `reroute`: when it is refused, and what becomes of the message."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select

from notifications.catalogue.definition import ConsentDefault
from notifications.database import Sessions, execute, transaction
from notifications.ledger import Ledger, Result, Try, Verdict
from notifications.plans import Plans
from notifications.queries.recipients import set_preference, suppress, upsert_recipient
from notifications.rerouting import CannotRerouteError, Rerouting
from notifications.statuses import AttemptOutcome, Channel, RoutingMode
from notifications.tables import Message, OutboxEntry
from tests.support.planning import (
    HASH_KEY,
    TEMPLATES,
    definition_of,
    insert_notification,
    plans_for,
    profile_of,
    refer,
    rerouting_for,
)


@pytest.fixture
def rerouting(sessions: Sessions) -> Rerouting:
    return rerouting_for(sessions)


@pytest.fixture
def plans(sessions: Sessions) -> Plans:
    return plans_for(sessions)


@pytest.fixture
def ledger(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker")


async def messages(sessions: Sessions, origin: UUID) -> list[Message]:
    async with sessions() as session:
        return list(await session.exec(select(Message).where(Message.origin_id == origin).order_by(col(Message.seq))))


async def stick(ledger: Ledger, origin: UUID, seq: int = 1) -> None:
    now = datetime.now(UTC)
    await ledger.claim([Try(origin, seq, 1, now, "smtp")])
    await ledger.record([Result(origin, seq, 1, "smtp", AttemptOutcome.REJECTED_CONFIG, now, now, "smtp_535")])


async def stuck_email(sessions: Sessions, recipient_id: str, *others: Channel, **changes: Any) -> UUID:
    """A notification whose first message, an e-mail, is stuck."""
    profile = profile_of(recipient_id, **{name: changes.pop(name) for name in ("phone", "tokens") if name in changes})
    origin = await insert_notification(sessions, definition_of(Channel.EMAIL, *others, **changes), profile=profile)
    await plans_for(sessions).make(origin, 1)
    await stick(Ledger(sessions, process="worker"), origin)
    return origin


async def test_the_stuck_message_ends_and_another_takes_its_step(
    rerouting: Rerouting, ledger: Ledger, sessions: Sessions
):
    origin = await stuck_email(sessions, "cus-moved-on", Channel.PUSH)
    for _ in range(2):  # run twice, one new message
        assert await rerouting.reroute(origin, 1, Channel.SMS) == 3
    old, _, new = await messages(sessions, origin)
    assert (old.status, old.reason, old.stuck_reason) == ("skipped", "rerouted", None)
    assert (new.channel, new.step, new.replaces_seq, new.status) == ("sms", 0, 1, "pending")
    assert (new.plan_version, new.definition_version, new.retry_for) == (1, 1, old.retry_for)
    assert new.due_at is not None
    assert new.expires_at == old.expires_at
    (found,) = await ledger.claim([Try(origin, 3, 1, datetime.now(UTC), "twilio")])
    assert found.verdict is Verdict.CLAIMED


async def test_the_end_of_the_old_message_is_told(rerouting: Rerouting, sessions: Sessions):
    origin = await stuck_email(sessions, "cus-told")
    await rerouting.reroute(origin, 1, Channel.SMS)
    async with sessions() as session:
        rows = await session.exec(
            select(OutboxEntry).where(OutboxEntry.origin_id == origin).order_by(col(OutboxEntry.id))
        )
        assert [(row.seq, row.status, row.reason, row.version) for row in rows] == [
            (1, "pending", "smtp_535", 1),
            (1, "skipped", "rerouted", 2),
        ]


async def test_in_a_fallback_the_new_message_does_not_wait_for_its_turn(rerouting: Rerouting, sessions: Sessions):
    origin = await stuck_email(sessions, "cus-turn", mode=RoutingMode.FALLBACK)
    await rerouting.reroute(origin, 1, Channel.SMS)
    assert (await messages(sessions, origin))[1].due_at is not None


async def test_only_a_stuck_message_is_rerouted(rerouting: Rerouting, plans: Plans, sessions: Sessions):
    origin = await insert_notification(sessions, definition_of(), profile=profile_of("cus-fine"))
    await plans.make(origin, 1)
    for seq in (1, 2):
        with pytest.raises(CannotRerouteError, match=f"message {seq} is not stuck"):
            await rerouting.reroute(origin, seq, Channel.SMS)
    assert len(await messages(sessions, origin)) == 1


async def test_a_channel_without_a_template_is_refused(rerouting: Rerouting, sessions: Sessions):
    templates = TEMPLATES.model_copy(update={"sms": {}})
    origin = await stuck_email(sessions, "cus-template", templates=templates)
    with pytest.raises(CannotRerouteError, match="has no template for sms"):
        await rerouting.reroute(origin, 1, Channel.SMS)
    assert (await messages(sessions, origin))[0].stuck_reason == "smtp_535"


async def test_a_channel_without_an_address_is_refused(rerouting: Rerouting, sessions: Sessions):
    origin = await stuck_email(sessions, "cus-no-phone", phone=None)
    with pytest.raises(CannotRerouteError, match="not on sms: no_address"):
        await rerouting.reroute(origin, 1, Channel.SMS)


async def test_a_choice_against_the_channel_is_respected(rerouting: Rerouting, sessions: Sessions):
    origin = await stuck_email(sessions, "cus-no-sms", consent=ConsentDefault.OPTED_IN)
    async with transaction(sessions) as session:
        await set_preference(session, "cus-no-sms", "receipts", Channel.SMS, opted_in=False, source="api")
    with pytest.raises(CannotRerouteError, match="not on sms: opted_out"):
        await rerouting.reroute(origin, 1, Channel.SMS)


async def test_a_suppressed_address_is_refused_and_another_device_taken(rerouting: Rerouting, sessions: Sessions):
    origin = await stuck_email(sessions, "cus-devices", phone="+4915112345679", tokens=["first", "second"])
    async with transaction(sessions) as session:
        await suppress(session, refer(Channel.SMS, "+4915112345679"), Channel.SMS, "all", "manual", "api")
        await suppress(session, refer(Channel.PUSH, "first"), Channel.PUSH, "all", "dead_token", "fcm")
    with pytest.raises(CannotRerouteError, match="not on sms: suppressed"):
        await rerouting.reroute(origin, 1, Channel.SMS)
    seq = await rerouting.reroute(origin, 1, Channel.PUSH)
    assert (await messages(sessions, origin))[seq - 1].address == "second"


async def test_an_expired_notification_is_not_rerouted(rerouting: Rerouting, sessions: Sessions):
    origin = await stuck_email(sessions, "cus-expired")
    async with transaction(sessions) as session:
        past = datetime.now(UTC) - timedelta(hours=1)
        await execute(
            session, "UPDATE notifications SET expires_at = :past WHERE id = :id", {"past": past, "id": origin}
        )
    with pytest.raises(CannotRerouteError, match="not on sms: expired"):
        await rerouting.reroute(origin, 1, Channel.SMS)


async def test_a_cancelled_notification_is_not_rerouted(rerouting: Rerouting, ledger: Ledger, sessions: Sessions):
    origin = await stuck_email(sessions, "cus-cancelled-too")
    async with transaction(sessions) as session:
        await ledger.cancel(session, [origin])
    with pytest.raises(CannotRerouteError, match="not stuck"):
        await rerouting.reroute(origin, 1, Channel.SMS)


@pytest.mark.parametrize("outcome", [None, AttemptOutcome.ACCEPTED, AttemptOutcome.TRANSIENT])
async def test_an_address_that_has_the_message_or_will_get_it_is_not_used_again(
    rerouting: Rerouting, ledger: Ledger, sessions: Sessions, outcome: AttemptOutcome | None
):
    origin = await stuck_email(sessions, f"cus-twice-{outcome}", Channel.SMS)
    if outcome is not None:
        now = datetime.now(UTC)
        await ledger.claim([Try(origin, 2, 1, now, "twilio")])
        await ledger.record([Result(origin, 2, 1, "twilio", outcome, now, now, "code")])
    with pytest.raises(CannotRerouteError, match="not on sms: message 2 goes there already"):
        await rerouting.reroute(origin, 1, Channel.SMS)


async def test_a_channel_that_failed_before_may_be_tried_again(
    rerouting: Rerouting, ledger: Ledger, sessions: Sessions
):
    origin = await stuck_email(sessions, "cus-failed-before", Channel.SMS)
    now = datetime.now(UTC)
    await ledger.claim([Try(origin, 2, 1, now, "twilio")])
    await ledger.record([Result(origin, 2, 1, "twilio", AttemptOutcome.REJECTED_MESSAGE, now, now, "code")])
    assert await rerouting.reroute(origin, 1, Channel.SMS) == 3


async def test_the_addresses_are_those_of_the_newest_plan(rerouting: Rerouting, plans: Plans, sessions: Sessions):
    profile = profile_of("cus-newest")
    origin = await insert_notification(sessions, definition_of(), profile=profile)
    await plans.make(origin, 1)
    await stick(Ledger(sessions, process="worker"), origin)
    async with transaction(sessions) as session:
        moved = dataclasses.replace(profile, phone="+4915112345670")
        await upsert_recipient(session, moved, hash_key=HASH_KEY)
    await plans.make(origin, 2)
    await rerouting.reroute(origin, 1, Channel.WHATSAPP)
    assert (await messages(sessions, origin))[1].address == "+4915112345670"
