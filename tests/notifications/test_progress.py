"""How a notification ends: the first that holds, never while a message is open, and once."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from notifications.database import Sessions, transaction
from notifications.ledger import Ledger, Result, Try
from notifications.plans import UnknownNotificationError
from notifications.progress import Progress
from notifications.statuses import AttemptOutcome, MessageStatus, NotificationStatus
from notifications.tables import Notification
from tests.support.ledger import insert_messages, message_row, notification_row

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def progress(sessions: Sessions) -> Progress:
    return Progress(sessions)


async def insert(sessions: Sessions, *messages: dict[str, Any], **changes: Any) -> UUID:
    notification = notification_row(**changes)
    notification_id = notification.id
    async with transaction(sessions) as session:
        session.add(notification)
        await session.flush()
        for seq, message in enumerate(messages, start=1):
            session.add(message_row(notification, seq, **message))
    return notification_id


async def notification_of(sessions: Sessions, origin: UUID) -> Notification:
    async with sessions() as session:
        found = await session.get(Notification, origin)
    assert found is not None
    return found


# One message for each kind of end, from the weakest to the strongest.
ENDS = [
    ({"status": "skipped", "reason": "opted_out"}, NotificationStatus.SKIPPED),
    ({"status": "skipped", "reason": "expired"}, NotificationStatus.EXPIRED),
    ({"status": "cancelled", "reason": "cancelled"}, NotificationStatus.CANCELLED),
    ({"status": "failed", "reason": "smtp_550"}, NotificationStatus.FAILED),
    ({"status": "sent"}, NotificationStatus.DONE),
]


@pytest.mark.parametrize("strongest", range(len(ENDS)), ids=[str(end) for _, end in ENDS])
async def test_the_first_that_holds_is_the_end(progress: Progress, sessions: Sessions, strongest: int):
    origin = await insert(sessions, *(message for message, _ in ENDS[: strongest + 1]))
    assert await progress.finish(origin) == ENDS[strongest][1]


@pytest.mark.parametrize("status", ["sent", "delivered", "opened", "clicked", "unknown"])
async def test_whatever_was_or_may_have_been_accepted_is_done(progress: Progress, sessions: Sessions, status: str):
    origin = await insert(sessions, {"status": status}, {"status": "failed"})
    assert await progress.finish(origin) is NotificationStatus.DONE


async def test_a_bounce_is_a_failure(progress: Progress, sessions: Sessions):
    assert await progress.finish(await insert(sessions, {"status": "bounced"})) is NotificationStatus.FAILED


async def test_every_status_of_a_message_is_an_end_or_open(progress: Progress, sessions: Sessions):
    for status in MessageStatus:
        origin = await insert(sessions, {"status": status}, status="running")
        assert (await progress.finish(origin)).is_final != status.is_open


@pytest.mark.parametrize("status", ["pending", "sending"])
async def test_nothing_ends_while_a_message_is_open(progress: Progress, sessions: Sessions, status: str):
    origin = await insert(sessions, {"status": "sent"}, {"status": status}, status="running")
    assert await progress.finish(origin) is NotificationStatus.RUNNING
    row = await notification_of(sessions, origin)
    assert (row.finished_at, row.tried_at) == (None, None)


async def test_the_end_is_written_once_and_later_receipts_do_not_change_it(progress: Progress, sessions: Sessions):
    origin = await insert(sessions, {"status": "failed"}, wake_at=T0)
    assert await progress.finish(origin) is NotificationStatus.FAILED
    first = await notification_of(sessions, origin)
    assert first.finished_at is not None
    assert first.tried_at is not None
    assert first.wake_at is None
    async with transaction(sessions) as session:
        notification = await session.get(Notification, origin)
        assert notification is not None
        session.add(message_row(notification, 2, status="delivered"))
    assert await progress.finish(origin) is NotificationStatus.FAILED
    assert (await notification_of(sessions, origin)).finished_at == first.finished_at


async def test_stuck_and_running_follow_the_messages(progress: Progress, sessions: Sessions):
    expires_at = datetime.now(UTC) + timedelta(hours=1)
    origin = await insert_messages(sessions)
    async with transaction(sessions) as session:
        notification = await session.get(Notification, origin)
        assert notification is not None
        notification.status, notification.expires_at = NotificationStatus.RUNNING, expires_at
    ledger = Ledger(sessions, process="worker")
    await ledger.claim([Try(origin, 1, 1, T0, "smtp")])
    await ledger.record([Result(origin, 1, 1, "smtp", AttemptOutcome.REJECTED_CONFIG, T0, T0, "smtp_535")])
    for _ in range(2):
        assert await progress.stuck(origin) is NotificationStatus.STUCK
    row = await notification_of(sessions, origin)
    assert row.wake_at == expires_at
    assert row.tried_at is not None
    assert await progress.running(origin) is NotificationStatus.STUCK  # it still is
    await ledger.raise_round(origin, 1, from_round=1)
    for _ in range(2):
        assert await progress.running(origin) is NotificationStatus.RUNNING
    # A report that was delayed until after the retry tells nothing any more.
    assert await progress.stuck(origin) is NotificationStatus.RUNNING


async def test_a_finished_notification_does_not_get_stuck_or_run_again(progress: Progress, sessions: Sessions):
    origin = await insert(sessions, {"status": "sent"})
    await progress.finish(origin)
    assert await progress.stuck(origin) is NotificationStatus.DONE
    assert await progress.running(origin) is NotificationStatus.DONE


async def test_one_that_was_removed_is_said_to_be_unknown(progress: Progress) -> None:
    for method in (progress.finish, progress.stuck, progress.running):
        with pytest.raises(UnknownNotificationError):
            await method(uuid4())
