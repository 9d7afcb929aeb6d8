"""An operator's `reroute`: end a stuck message and deliver the same notification on another channel."""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.addresses import address_ref
from notifications.catalogue.definition import Definition
from notifications.catalogue.store import CatalogueStore
from notifications.consent import load_consent
from notifications.database import Sessions, execute, transaction
from notifications.plan_rows import kept_profile, message_row
from notifications.planning import Plan, PlannedMessage, plan
from notifications.queries import ledger as sql
from notifications.statuses import ACCEPTED, Channel, MessageStatus, RoutingMode, SkipReason
from notifications.tables import Message, Notification
from notifications.tables import Plan as PlanRow

# Another message of the notification that was, or may be, or will be delivered.
_COUNTS = ACCEPTED | {MessageStatus.PENDING, MessageStatus.SENDING, MessageStatus.UNKNOWN}


class CannotRerouteError(Exception):
    """The recipient cannot be reached on the other channel."""


class Rerouting:
    def __init__(self, sessions: Sessions, *, catalogue: CatalogueStore, hash_key: bytes) -> None:
        self._sessions = sessions
        self._catalogue = catalogue
        self._hash_key = hash_key

    async def reroute(self, notification_id: UUID, seq: int, channel: Channel) -> int:
        """Return the new message's `seq`; run twice, the second returns the same.

        To push, it goes to the first device that may be used.

        Raises:
            CannotRerouteError: no template, no address, opted out or suppressed there, has that message already, or
                not stuck any more.

        """
        async with transaction(self._sessions) as session:
            notification = (
                await session.exec(select(Notification).where(Notification.id == notification_id).with_for_update())
            ).one()
            rows = (await session.exec(select(Message).where(Message.origin_id == notification_id))).all()
            done = next((row for row in rows if row.replaces_seq == seq and row.channel == channel), None)
            if done is not None:
                return done.seq
            stuck = next((row for row in rows if row.seq == seq and row.stuck_reason is not None), None)
            if stuck is None or notification.cancelled_at is not None:
                raise CannotRerouteError(f"message {seq} is not stuck")
            definition = await self._catalogue.version(stuck.definition, stuck.definition_version)
            if not definition.templates.of(channel):
                raise CannotRerouteError(f"{definition.name} has no template for {channel}")
            planned = await self._plan(session, notification, definition, channel)
            target = _target(planned, rows, channel)
            skip = {"ids": [notification_id], "seq": seq, "reason": SkipReason.REROUTED}
            if (await execute(session, sql.SKIP, skip)).first() is None:
                raise CannotRerouteError(f"message {seq} is not stuck any more")  # a late answer came meanwhile
            new_seq = max(row.seq for row in rows) + 1
            row = message_row(notification, stuck.plan_version, definition, planned, target, new_seq, stuck.retry_for)
            await execute(session, insert(Message), [row | {"step": stuck.step, "replaces_seq": seq}])
        return new_seq

    async def _plan(
        self, session: AsyncSession, notification: Notification, definition: Definition, channel: Channel
    ) -> Plan:
        """The one channel, at once, with the profile as it was planned and the consent as it is now."""
        newest = select(PlanRow).where(PlanRow.notification_id == notification.id)
        kept = (await session.exec(newest.order_by(col(PlanRow.plan_version).desc()))).first()
        profile = kept_profile(notification.recipient_id or "", kept.profile if kept is not None else {})
        addresses = [profile.email, profile.phone, *(device.token for device in profile.devices)]
        refs = [self._refer(channel, address) for address in addresses if address]
        routing = definition.routing.model_copy(update={"mode": RoutingMode.ALL, "channels": (channel,)})
        return plan(
            definition.model_copy(update={"routing": routing}),
            profile,
            await load_consent(session, notification.recipient_id, refs),
            datetime.now(UTC),
            refer=self._refer,
            expires_at=notification.expires_at,
        )

    def _refer(self, channel: Channel, address: str) -> bytes:
        return address_ref(self._hash_key, channel, address)


def _target(planned: Plan, rows: Sequence[Message], channel: Channel) -> PlannedMessage:
    """The address to use: none that has had this notification on this channel, or may yet get it."""
    served = {row.address_ref: row.seq for row in rows if row.channel == channel and row.status in _COUNTS}
    usable = [message for message in planned.messages if message.skip is None]
    if not usable:
        raise CannotRerouteError(f"not on {channel}: {planned.messages[0].skip}")
    free = [message for message in usable if message.address_ref not in served]
    if not free:
        raise CannotRerouteError(f"not on {channel}: message {served[usable[0].address_ref]} goes there already")
    return free[0]
