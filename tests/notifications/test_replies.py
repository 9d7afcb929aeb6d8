"""STOP and START: what they suppress and lift, and what a request that is sent again does not."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from notifications.addresses import address_ref
from notifications.consent import SCOPE_ALL, load_consent
from notifications.database import Sessions, transaction
from notifications.providers.receipts import Reply
from notifications.queries.recipients import suppress
from notifications.replies import Replies, ReplyFate
from notifications.statuses import Channel

KEY = b"a key for tests only, at least 32 long"


@pytest.fixture
def replies(sessions: Sessions) -> Replies:
    return Replies(sessions, hash_key=KEY)


@pytest.fixture
def number() -> str:
    return f"+49151{uuid4().int % 10**8:08}"


def reply(number: str, *, stops: bool, sid: str | None = None) -> Reply:
    return Reply(
        provider="twilio",
        receipt_id=sid or f"SM{uuid4().hex}:reply",
        channel=Channel.SMS,
        address=number,
        stops=stops,
        received_at=datetime.now(UTC),
    )


async def is_suppressed(sessions: Sessions, number: str, channel: Channel = Channel.SMS) -> bool:
    reference = address_ref(KEY, channel, number)
    async with sessions() as session:
        consent = await load_consent(session, None, [reference])
    return consent.suppresses(reference, channel, SCOPE_ALL)


async def test_stop_suppresses_and_start_lifts_it(sessions: Sessions, replies: Replies, number: str):
    assert await replies.take(reply(number, stops=True)) is ReplyFate.OPTED_OUT
    assert await is_suppressed(sessions, number)
    assert not await is_suppressed(sessions, number, Channel.WHATSAPP)
    assert await replies.take(reply(number, stops=False)) is ReplyFate.OPTED_IN
    assert not await is_suppressed(sessions, number)


async def test_an_old_start_that_is_sent_again_does_not_undo_a_later_stop(
    sessions: Sessions, replies: Replies, number: str
):
    start = reply(number, stops=False)
    await replies.take(start)
    await replies.take(reply(number, stops=True))
    assert await replies.take(start) is ReplyFate.DOUBLED
    assert await is_suppressed(sessions, number)


async def test_a_stop_that_was_lifted_by_hand_is_not_brought_back(sessions: Sessions, replies: Replies, number: str):
    stop = reply(number, stops=True)
    await replies.take(stop)
    await replies.take(reply(number, stops=False))
    assert await replies.take(stop) is ReplyFate.DOUBLED
    assert not await is_suppressed(sessions, number)


@pytest.mark.parametrize("reason", ["hard_bounce", "manual"])
async def test_start_lifts_nothing_else(sessions: Sessions, replies: Replies, number: str, reason: str):
    async with transaction(sessions) as session:
        await suppress(session, address_ref(KEY, Channel.SMS, number), Channel.SMS, SCOPE_ALL, reason, "api")
    await replies.take(reply(number, stops=True))
    await replies.take(reply(number, stops=False))
    assert await is_suppressed(sessions, number)
