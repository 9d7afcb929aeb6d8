"""An operator's `reroute`: end a stuck message and deliver the same notification on another channel."""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import insert
from sqlmodel import col, select

from notifications.addresses import address_ref
from notifications.catalogue.store import CatalogueStore
from notifications.consent import load_consent
from notifications.database import Sessions, execute, transaction
from notifications.plan_rows import kept_profile, message_row
from notifications.planning import Plan, plan
from notifications.queries import ledger as sql
from notifications.statuses import Channel, RoutingMode, SkipReason
from notifications.tables import Message, Notification
from notifications.tables import Plan as PlanRow


class CannotRerouteError(Exception):
    """The recipient cannot be reached on the other channel."""


class Rerouting:
    def __init__(self, sessions: Sessions, *, catalogue: CatalogueStore, hash_key: bytes) -> None:
        self._sessions = sessions
        self._catalogue = catalogue
        self._hash_key = hash_key

    async def reroute(self, notification_id: UUID, seq: int, channel: Channel) -> int:
        """Return the new message's `seq`; run twice, the second returns the same.

        Raises:
            CannotRerouteError: no template, no address, opted out or suppressed there, or not stuck any more.

        """
        async with transaction(self._sessions) as session:
            notification = (
                await session.exec(select(Notification).where(Notification.id == notification_id).with_for_update())
            ).one()
            rows = (await session.exec(select(Message).where(Message.origin_id == notification_id))).all()
            done = next((row for row in rows if row.replaces_seq == seq and row.channel == channel), None)
            if done is not None:
                return done.seq
            stuck = next((row for row in rows if row.seq == seq), None)
            if stuck is None or stuck.stuck_reason is None:
                raise CannotRerouteError(f"message {seq} is not stuck")
            kept = (
                await session.exec(
                    select(PlanRow)
                    .where(PlanRow.notification_id == notification_id)
                    .order_by(col(PlanRow.plan_version).desc())
                )
            ).first()
            definition = await self._catalogue.version(stuck.definition, stuck.definition_version)
            if not definition.templates.of(channel):
                raise CannotRerouteError(f"{definition.name} has no template for {channel}")
            profile = kept_profile(notification.recipient_id or "", kept.profile if kept is not None else {})
            refs = [
                address_ref(self._hash_key, channel, address) for address in _addresses(profile.email, profile.phone)
            ]
            refs += [address_ref(self._hash_key, channel, device.token) for device in profile.devices]
            one_channel = definition.model_copy(
                update={"routing": definition.routing.model_copy(update={"channels": (channel,)})}
            )
            planned = plan(
                one_channel,
                profile,
                await load_consent(session, notification.recipient_id, refs),
                datetime.now(UTC),
                refer=lambda to, address: address_ref(self._hash_key, to, address),
                expires_at=notification.expires_at,
            )
            target = planned.messages[0]
            if target.skip is not None:
                raise CannotRerouteError(f"not on {channel}: {target.skip}")
            parameters = {"ids": [notification_id], "seq": seq, "reason": SkipReason.REROUTED}
            if (await execute(session, sql.SKIP, parameters)).first() is None:
                raise CannotRerouteError(f"message {seq} is not stuck any more")
            new_seq = max(row.seq for row in rows) + 1
            at_once = Plan(RoutingMode.ALL, None, planned.expires_at, planned.locale, planned.messages)
            row = message_row(notification, stuck.plan_version, definition, at_once, target, new_seq, stuck.retry_for)
            await execute(session, insert(Message), [row | {"step": stuck.step, "replaces_seq": seq}])
        return new_seq


def _addresses(*candidates: str | None) -> list[str]:
    return [address for address in candidates if address]
