"""Make plans and keep them: a plan and its message rows are one transaction, and the same version is made once."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.addresses import address_ref
from notifications.catalogue.definition import Definition
from notifications.catalogue.store import CatalogueStore
from notifications.consent import load_consent
from notifications.database import Sessions, execute, execute_alone, execute_prepared, transaction
from notifications.plan_rows import is_known, message_row, outcome_row, plan_document, profile_document
from notifications.planning import Plan, PlannedMessage, plan
from notifications.profiles.guest import guest_profile
from notifications.profiles.profile import Profile, ProfileSource
from notifications.queries import ledger as ledger_sql
from notifications.queries import plans as sql
from notifications.settings import Settings
from notifications.statuses import ACCEPTED, Channel, MessageStatus, NotificationStatus, RoutingMode, SkipReason
from notifications.tables import Message, OutboxEntry


@dataclass(frozen=True, slots=True)
class MessageState:
    seq: int
    step: int
    channel: Channel
    status: MessageStatus
    round: int
    stuck_reason: str | None
    provider: str | None


@dataclass(frozen=True, slots=True)
class NotificationState:
    """What the ledger says of a notification; holds no personal data."""

    type: str
    definition: str
    mode: RoutingMode
    plan_version: int
    due_at: datetime
    expires_at: datetime
    is_cancelled: bool
    messages: tuple[MessageState, ...]
    wait_for_receipt: timedelta | None = None

    def statuses(self, step: int) -> set[MessageStatus]:
        return {message.status for message in self.messages if message.step == step}

    def has_others(self, step: int) -> bool:
        """Whether a channel after this one can still be tried."""
        return any(message.step > step and message.status.is_open for message in self.messages)

    def awaits_receipt(self, step: int) -> bool:
        """Whether a receipt decides if the channels after this one are needed: none has said that it arrived."""
        statuses = self.statuses(step)
        return self.has_others(step) and not statuses & _ARRIVED and bool(statuses & _UNREPORTED)


_ARRIVED = ACCEPTED - {MessageStatus.SENT}
_UNREPORTED = {MessageStatus.SENT, MessageStatus.UNKNOWN}


class UnknownNotificationError(LookupError):
    """There is no notification with this id."""


class Plans:
    """Collaborators of planning; `hash_key` keys the hashes that stand for addresses."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        profiles: ProfileSource,
        catalogue: CatalogueStore,
        settings: Settings,
        hash_key: bytes,
    ) -> None:
        self._sessions = sessions
        self._profiles = profiles
        self._catalogue = catalogue
        self._settings = settings
        self._hash_key = hash_key

    @property
    def is_local(self) -> bool:
        """Whether planning is a matter of our own database alone."""
        return self._profiles.is_local

    async def make(self, notification_id: UUID, version: int) -> NotificationState:
        """Plan, or return what this version became before.

        Raises:
            UnknownNotificationError: the row is gone.
            ProfileUnavailableError: the profile service does not answer.

        """
        found = await execute_alone(self._sessions, sql.READ, {"id": notification_id, "version": version})
        if not found:
            raise UnknownNotificationError(str(notification_id))
        if found[0].is_planned:
            return await self.state(notification_id)
        definition = await self._catalogue.version(found[0].definition, found[0].definition_version)
        profile = await self._profile(found[0])
        async with transaction(self._sessions) as session:
            await self._store(session, notification_id, version, definition, profile)
            rows = await execute_prepared(session, sql.STATE, {"id": notification_id})
        return _state(rows, definition)

    async def state(self, notification_id: UUID) -> NotificationState:
        """The rows as they are now."""
        rows = await execute_alone(self._sessions, sql.STATE, {"id": notification_id})
        if not rows:
            raise UnknownNotificationError(str(notification_id))
        return _state(rows, await self._catalogue.version(rows[0].definition, rows[0].definition_version))

    async def _profile(self, notification: Row[Any]) -> Profile | None:
        if notification.recipient_id is None:
            return None
        if notification.guest is not None:
            return guest_profile(notification.recipient_id, notification.guest)
        return await self._profiles.get(notification.recipient_id)

    async def _plan(
        self, session: AsyncSession, notification: Row[Any], definition: Definition, profile: Profile | None
    ) -> Plan:
        consent = await load_consent(session, notification.recipient_id, self._refs(profile))
        return plan(
            definition,
            profile,
            consent,
            datetime.now(UTC),
            refer=self._refer,
            sendat=notification.sendat,
            expires_at=notification.expires_at,
        )

    def _refer(self, channel: Channel, address: str) -> bytes:
        return address_ref(self._hash_key, channel, address)

    def _refs(self, profile: Profile | None) -> list[bytes]:
        if profile is None:
            return []
        pairs = [(Channel.EMAIL, profile.email), (Channel.SMS, profile.phone)]
        pairs += [(Channel.PUSH, device.token) for device in profile.devices]
        return [self._refer(channel, address) for channel, address in pairs if address]

    async def _store(
        self,
        session: AsyncSession,
        notification_id: UUID,
        version: int,
        definition: Definition,
        profile: Profile | None,
    ) -> None:
        """Plan under the notification's lock: a cancel or a new time comes before, or finds the rows."""
        (locked,) = await execute_prepared(session, sql.LOCK, {"id": notification_id})
        planned = await self._plan(session, locked, definition, profile)
        due_at = planned.not_before or locked.due_at or locked.received_at
        stored = await execute_prepared(
            session,
            sql.STORE,
            {
                "id": notification_id,
                "version": version,
                "plan": json.dumps(plan_document(planned)),
                "profile": json.dumps(profile_document(profile)),
                "expires_at": planned.expires_at,
                "due_at": due_at,
                "status": NotificationStatus.SCHEDULED if planned.not_before else NotificationStatus.RUNNING,
            },
        )
        if not stored:
            return  # another run of the same activity was faster
        # A first plan finds no messages: those that there are were stored with one.
        rows = await execute_prepared(session, sql.KNOWN_MESSAGES, {"id": notification_id}) if version > 1 else []
        await self._drop_unwanted(session, notification_id, rows, planned.messages)
        fresh = [message for message in planned.messages if not is_known(message, rows)]
        retry_for = self._settings.capped_retry(definition.delivery.retry_for)
        values = [
            message_row(locked, version, definition, planned, message, seq, retry_for)
            for seq, message in enumerate(fresh, start=max((row.seq for row in rows), default=0) + 1)
        ]
        if values:
            await execute(session, insert(Message), values)
            ended = [row for row in values if row["status"] != MessageStatus.PENDING]
            if ended:
                await execute(session, insert(OutboxEntry), [outcome_row(row) for row in ended])

    async def _drop_unwanted(
        self, session: AsyncSession, notification_id: UUID, rows: Sequence[Row[Any]], planned: Sequence[PlannedMessage]
    ) -> None:
        """Pending rows that a later plan no longer has end as skipped; whatever was tried goes on."""
        wanted = {(message.channel, message.address_ref) for message in planned if message.skip is None}
        # A reason of the address itself, else that of the whole channel, which has none.
        reasons = {(message.channel, message.address_ref): message.skip for message in planned if message.skip}
        unwanted: dict[SkipReason, list[int]] = {}
        for row in rows:
            channel = Channel(row.channel)
            if row.status == MessageStatus.PENDING and (channel, row.address_ref) not in wanted:
                reason = reasons.get((channel, row.address_ref)) or reasons.get((channel, None))
                unwanted.setdefault(reason or SkipReason.REPLANNED, []).append(row.seq)
        for reason, seqs in unwanted.items():
            await execute(session, ledger_sql.REPLANNED, {"ids": [notification_id], "seqs": seqs, "reason": reason})


def _state(rows: Sequence[Row[Any]], definition: Definition) -> NotificationState:
    notification = rows[0]
    return NotificationState(
        type=notification.type,
        definition=notification.definition,
        mode=definition.routing.mode,
        plan_version=notification.plan_version or 0,
        due_at=notification.due_at or notification.received_at,
        expires_at=notification.expires_at or notification.received_at + definition.delivery.expire_after,
        is_cancelled=notification.is_cancelled,
        messages=tuple(
            MessageState(
                row.seq,
                row.step,
                Channel(row.channel),
                MessageStatus(row.status),
                row.round,
                row.stuck_reason,
                row.provider,
            )
            for row in rows
            if row.seq is not None
        ),
        wait_for_receipt=definition.routing.wait_for_receipt,
    )
