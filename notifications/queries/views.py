"""Reading for people and programs that ask: notifications with their messages and attempts, and rejected events.

Pages go by key, newest first: `before` is the key of the last row of the page before.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import exists, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from notifications.ids import event_uuid
from notifications.statuses import Channel, MessageStatus, NotificationStatus, NotificationType
from notifications.tables import Attempt, Campaign, Message, Notification, RejectedEvent

MAX_REJECTIONS = 20  # of one event id, newest first
_SOURCE_KEPT = 255  # characters of `source` and `event_id` that a rejected event keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationFilter:
    """None means any. `received_since` is inclusive, `received_until` exclusive."""

    type: NotificationType | None = None
    status: NotificationStatus | None = None
    definition: str | None = None
    recipient: str | None = None
    channel: Channel | None = None
    stuck: bool | None = None
    received_since: datetime | None = None
    received_until: datetime | None = None

    def conditions(self) -> list[Any]:
        exact = {
            "type": self.type,
            "status": self.status,
            "definition": self.definition,
            "recipient_id": self.recipient,
        }
        found: list[Any] = [getattr(Notification, name) == value for name, value in exact.items() if value is not None]
        return found + self._about_messages() + self._about_time()

    def _about_messages(self) -> list[Any]:
        found: list[Any] = []
        if self.channel is not None:
            found.append(
                exists().where(
                    col(Message.origin_id) == col(Notification.id), col(Message.channel) == self.channel.value
                )
            )
        if self.stuck is not None:
            stuck = exists().where(col(Message.origin_id) == col(Notification.id), *_is_stuck())
            found.append(stuck if self.stuck else ~stuck)
        return found

    def _about_time(self) -> list[Any]:
        found: list[Any] = []
        if self.received_since is not None:
            found.append(col(Notification.received_at) >= self.received_since)
        if self.received_until is not None:
            found.append(col(Notification.received_at) < self.received_until)
        return found


def _is_stuck() -> tuple[Any, ...]:
    return (col(Message.stuck_reason).is_not(None), col(Message.status) == MessageStatus.PENDING.value)


async def payload_hash_of(session: AsyncSession, event_id: UUID) -> bytes | None:
    """Of the notification or campaign that an event made, by the UUID that its source and id give."""
    for table in (Notification, Campaign):
        found = (await session.exec(select(table.payload_hash).where(table.id == event_id))).first()
        if found is not None:
            return found
    return None


async def find_notification(session: AsyncSession, notification_id: UUID) -> Notification | None:
    return await session.get(Notification, notification_id)


async def find_notification_of(session: AsyncSession, source: str, event_id: str) -> Notification | None:
    return await session.get(Notification, event_uuid(source, event_id))


async def notifications_with_event_id(session: AsyncSession, event_id: str, *, limit: int = 20) -> list[Notification]:
    """The same event id may come from several sources."""
    query = (
        select(Notification)
        .where(col(Notification.event_id) == event_id)
        .order_by(col(Notification.received_at).desc())
        .limit(limit)
    )
    return list((await session.exec(query)).all())


async def list_notifications(
    session: AsyncSession, wanted: NotificationFilter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[Notification]:
    query = select(Notification).where(*wanted.conditions())
    if before is not None:
        query = query.where(tuple_(col(Notification.received_at), col(Notification.id)) < tuple_(*before))
    query = query.order_by(col(Notification.received_at).desc(), col(Notification.id).desc()).limit(limit)
    return list((await session.exec(query)).all())


async def messages_of(session: AsyncSession, notification_id: UUID) -> list[Message]:
    query = select(Message).where(col(Message.origin_id) == notification_id).order_by(col(Message.seq))
    return list((await session.exec(query)).all())


async def find_message(session: AsyncSession, notification_id: UUID, seq: int) -> Message | None:
    return await session.get(Message, (notification_id, seq))


async def attempts_of(session: AsyncSession, notification_id: UUID) -> list[Attempt]:
    query = (
        select(Attempt)
        .where(col(Attempt.origin_id) == notification_id)
        .order_by(col(Attempt.seq), col(Attempt.attempt))
    )
    return list((await session.exec(query)).all())


async def rejections_of(session: AsyncSession, event_id: str, source: str | None = None) -> list[RejectedEvent]:
    """Newest first, at most `MAX_REJECTIONS`; without `source`, those of every source."""
    query = select(RejectedEvent).where(col(RejectedEvent.event_id) == event_id[:_SOURCE_KEPT])
    if source is not None:
        query = query.where(col(RejectedEvent.source) == source[:_SOURCE_KEPT])
    return await _newest_rejected(session, query, MAX_REJECTIONS)


class RejectedState(StrEnum):
    """What somebody has made of a rejected event."""

    OPEN = "open"
    REPLAYED = "replayed"
    GIVEN_UP = "given_up"

    @classmethod
    def of(cls, row: RejectedEvent) -> "RejectedState":
        if row.replayed_at is not None:
            return cls.REPLAYED
        return cls.GIVEN_UP if row.given_up_at is not None else cls.OPEN


def _in_state(state: RejectedState) -> list[Any]:
    replayed, given_up = col(RejectedEvent.replayed_at), col(RejectedEvent.given_up_at)
    if state is RejectedState.REPLAYED:
        return [replayed.is_not(None)]
    return [replayed.is_(None), given_up.is_(None) if state is RejectedState.OPEN else given_up.is_not(None)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFilter:
    state: RejectedState | None = None
    reason: str | None = None
    source: str | None = None
    topic: str | None = None
    rejected_since: datetime | None = None
    rejected_until: datetime | None = None

    def conditions(self) -> list[Any]:
        exact = {"reason": self.reason, "source": self.source, "topic": self.topic}
        found: list[Any] = [getattr(RejectedEvent, name) == value for name, value in exact.items() if value is not None]
        if self.state is not None:
            found += _in_state(self.state)
        if self.rejected_since is not None:
            found.append(col(RejectedEvent.rejected_at) >= self.rejected_since)
        if self.rejected_until is not None:
            found.append(col(RejectedEvent.rejected_at) < self.rejected_until)
        return found


async def list_rejected(
    session: AsyncSession, wanted: RejectedFilter, *, before: tuple[datetime, int] | None, limit: int
) -> list[RejectedEvent]:
    query = select(RejectedEvent).where(*wanted.conditions())
    if before is not None:
        query = query.where(tuple_(col(RejectedEvent.rejected_at), col(RejectedEvent.id)) < tuple_(*before))
    return await _newest_rejected(session, query, limit)


async def find_rejected(session: AsyncSession, rejected_id: int) -> RejectedEvent | None:
    return await session.get(RejectedEvent, rejected_id)


async def _newest_rejected(
    session: AsyncSession, query: SelectOfScalar[RejectedEvent], limit: int
) -> list[RejectedEvent]:
    ordered = query.order_by(col(RejectedEvent.rejected_at).desc(), col(RejectedEvent.id).desc()).limit(limit)
    return list((await session.exec(ordered)).all())
