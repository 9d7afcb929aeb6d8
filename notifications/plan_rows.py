"""The rows that a plan becomes, and the documents that are kept beside them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row

from notifications.catalogue.definition import Definition
from notifications.planning import Plan, PlannedMessage
from notifications.profiles.profile import Device, Profile
from notifications.statuses import MessageStatus, RoutingMode, SkipReason
from notifications.tables import Notification


def message_row(
    notification: Notification | Row[Any],
    version: int,
    definition: Definition,
    planned: Plan,
    message: PlannedMessage,
    seq: int,
    retry_for: timedelta,
) -> dict[str, Any]:
    """The row of `messages`; one that the plan skips, or of a cancelled notification, is born ended."""
    status, reason = MessageStatus.PENDING, None
    if message.skip is not None:
        status, reason = MessageStatus.SKIPPED, str(message.skip)
    elif notification.cancelled_at is not None:
        status, reason = MessageStatus.CANCELLED, "cancelled"
    waits_for_turn = planned.mode is RoutingMode.FALLBACK and message.step > _first_step(planned)
    is_open = status is MessageStatus.PENDING
    return {
        "origin_id": notification.id,
        "seq": seq,
        "plan_version": version,
        "step": message.step,
        "type": notification.type,
        "category": definition.category.name,
        "channel": message.channel,
        "definition": definition.name,
        "definition_version": definition.version,
        "recipient_id": notification.recipient_id,
        "address": message.address,
        "address_ref": message.address_ref,
        "device_id": message.device_id,
        "locale": planned.locale,
        "consent": message.consent,
        "duplicates": definition.delivery.duplicates,
        "retry_for": retry_for,
        "not_before": planned.not_before,
        "expires_at": planned.expires_at,
        "due_at": (planned.not_before or datetime.now(UTC)) if is_open and not waits_for_turn else None,
        "status": status,
        "reason": reason,
        "version": 0 if is_open else 1,
    }


def _first_step(planned: Plan) -> int:
    return min((message.step for message in planned.messages if message.skip is None), default=0)


# What a plan skipped may be wanted by a later one: the recipient opted in, the address works again.
_PLANS_OWN = {SkipReason.OPTED_OUT, SkipReason.SUPPRESSED, SkipReason.REPLANNED}


def is_known(message: PlannedMessage, rows: Sequence[Row[Any]]) -> bool:
    """A delivery keeps its row through replanning, and a channel's skip is recorded once."""
    rows = [row for row in rows if row.channel == message.channel]
    if message.skip is not None:
        return bool(rows)
    return any(
        (row.address_ref == message.address_ref or row.address == message.address)
        and not (row.status == MessageStatus.SKIPPED and row.attempt == 0 and row.reason in _PLANS_OWN)
        for row in rows
    )


def outcome_row(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "origin_id": row["origin_id"],
        "seq": row["seq"],
        "version": row["version"],
        "channel": row["channel"],
        "provider": None,
        "status": row["status"],
        "reason": row["reason"],
        "attempt": 0,
    }


def plan_document(planned: Plan) -> dict[str, Any]:
    return {
        "mode": planned.mode,
        "locale": planned.locale,
        "not_before": planned.not_before.isoformat() if planned.not_before else None,
        "expires_at": planned.expires_at.isoformat(),
    }


def profile_document(profile: Profile | None) -> dict[str, Any]:
    """What templates may use, and the addresses that a reroute may need."""
    if profile is None:
        return {}
    return {
        "id": profile.recipient_id,
        "name": profile.name,
        "locale": profile.locale,
        "timezone": profile.timezone,
        "attributes": dict(profile.attributes),
        "email": profile.email,
        "phone": profile.phone,
        "devices": [
            {"id": device.id, "token": device.token, "platform": device.platform} for device in profile.devices
        ],
    }


def kept_profile(recipient_id: str, document: Mapping[str, Any]) -> Profile:
    """The profile that `profile_document` wrote."""
    return Profile(
        recipient_id=recipient_id,
        name=document.get("name"),
        email=document.get("email"),
        phone=document.get("phone"),
        locale=document.get("locale"),
        timezone=document.get("timezone"),
        attributes=document.get("attributes") or {},
        devices=tuple(Device(**device) for device in document.get("devices", ())),
    )
