"""Recipients, their devices and choices, and the suppressed addresses. Nobody here commits."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import case, func, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.addresses import address_ref
from notifications.profiles.profile import Profile
from notifications.statuses import Channel
from notifications.tables import Device, Preference, Recipient, Suppression


async def upsert_recipient(session: AsyncSession, profile: Profile, *, hash_key: bytes) -> None:
    """Write the profile's fields over what is kept, and its devices; devices that it does not name stay.

    The keyed hash of an address is kept with it, so that campaigns can join suppressions.

    `preferences` of the profile are not written: a choice needs a source and a time (`set_preference`).
    The fields are stored as they are; `notifications.profiles.fields.checked_profile` makes sure of them first.
    """
    values: dict[str, Any] = {
        "name": profile.name,
        "email": profile.email,
        "phone": profile.phone,
        "email_ref": address_ref(hash_key, Channel.EMAIL, profile.email) if profile.email else None,
        "phone_ref": address_ref(hash_key, Channel.SMS, profile.phone) if profile.phone else None,
        "locale": profile.locale,
        "timezone": profile.timezone,
        "attributes": dict(profile.attributes),
    }
    statement = insert(Recipient).values(id=profile.recipient_id, **values)
    await session.exec(
        statement.on_conflict_do_update(index_elements=["id"], set_={**values, "updated_at": func.now()})
    )
    for device in profile.devices:
        await upsert_device(session, profile.recipient_id, device.id, device.token, device.platform, hash_key=hash_key)


async def read_recipient(session: AsyncSession, recipient_id: str) -> Recipient | None:
    return (await session.exec(select(Recipient).where(Recipient.id == recipient_id))).one_or_none()


async def delete_recipient(session: AsyncSession, recipient_id: str) -> bool:
    """Remove the profile, its devices and its choices; suppressions stay, they name no person."""
    await session.exec(delete(Preference).where(col(Preference.recipient_id) == recipient_id))
    found = await session.exec(delete(Recipient).where(col(Recipient.id) == recipient_id).returning(col(Recipient.id)))
    return found.first() is not None


async def upsert_device(
    session: AsyncSession, recipient_id: str, device_id: str, token: str, platform: str, *, hash_key: bytes
) -> None:
    """Register a device under an existing recipient.

    A new token enables a disabled device again; the same token stays disabled, since a nightly import would otherwise
    revive what the provider called dead. The token is taken from any other device that had it: after a change of
    user on one phone, the former user's messages must not appear on it.
    """
    token_ref = address_ref(hash_key, Channel.PUSH, token)
    values: dict[str, Any] = {"token": token, "token_ref": token_ref, "platform": platform}
    statement = insert(Device).values(recipient_id=recipient_id, id=device_id, **values)
    kept = [
        (name, case((col(Device.token) == token, col(getattr(Device, name))), else_=None))
        for name in ("disabled_at", "disabled_reason")
    ]
    await session.exec(
        statement.on_conflict_do_update(index_elements=["recipient_id", "id"], set_={**values, **dict(kept)})
    )
    others = tuple_(col(Device.recipient_id), col(Device.id)) != tuple_(recipient_id, device_id)
    await session.exec(
        update(Device)
        .where(col(Device.token) == token, others, col(Device.disabled_at).is_(None))
        .values(disabled_at=func.now(), disabled_reason="moved")
    )


async def list_devices(session: AsyncSession, recipient_id: str) -> list[Device]:
    """By id, disabled ones as well."""
    statement = select(Device).where(Device.recipient_id == recipient_id).order_by(col(Device.id))
    return list(await session.exec(statement))


async def disable_device(
    session: AsyncSession,
    recipient_id: str,
    *,
    reason: str,
    device_id: str | None = None,
    token: str | None = None,
) -> bool:
    """Stop using a device; give the token that failed as well, so that one renewed meanwhile stays in use.

    Returns:
        Whether an enabled device was found (one of an external profile service is not ours).

    Raises:
        ValueError: neither `device_id` nor `token`.

    """
    if device_id is None and token is None:
        raise ValueError("disable_device needs a device_id, a token, or both")
    statement = update(Device).where(col(Device.recipient_id) == recipient_id, col(Device.disabled_at).is_(None))
    if device_id is not None:
        statement = statement.where(col(Device.id) == device_id)
    if token is not None:
        statement = statement.where(col(Device.token) == token)
    found = await session.exec(
        statement.values(disabled_at=func.now(), disabled_reason=reason).returning(col(Device.id))
    )
    return found.first() is not None


async def delete_device(session: AsyncSession, recipient_id: str, device_id: str) -> bool:
    statement = delete(Device).where(col(Device.recipient_id) == recipient_id, col(Device.id) == device_id)
    return (await session.exec(statement.returning(col(Device.id)))).first() is not None


async def set_preference(
    session: AsyncSession,
    recipient_id: str,
    category: str,
    channel: Channel,
    *,
    opted_in: bool,
    source: str,
    time: datetime | None = None,
) -> bool:
    """Keep a choice; the newest wins whatever order they come in. Returns False if a newer one is kept already.

    `source` says who said so (api, unsubscribe, import); `time` is when the recipient chose, by default now.
    """
    values = {"opted_in": opted_in, "source": source, "time": time or datetime.now(UTC)}
    statement = insert(Preference).values(recipient_id=recipient_id, category=category, channel=channel, **values)
    newer = statement.on_conflict_do_update(
        index_elements=["recipient_id", "category", "channel"],
        set_=values,
        where=col(Preference.time) <= statement.excluded.time,
    )
    return (await session.exec(newer.returning(col(Preference.recipient_id)))).first() is not None


async def list_preferences(session: AsyncSession, recipient_id: str) -> list[Preference]:
    statement = select(Preference).where(Preference.recipient_id == recipient_id)
    return list(await session.exec(statement.order_by(col(Preference.category), col(Preference.channel))))


async def suppress(
    session: AsyncSession, address_ref: bytes, channel: Channel, scope: str, reason: str, source: str
) -> bool:
    """Stop using an address for `scope` (`all`, or a category). Returns False if it was suppressed before."""
    values = {"address_ref": address_ref, "channel": channel, "scope": scope, "reason": reason, "source": source}
    statement = insert(Suppression).values(**values).on_conflict_do_nothing()
    return (await session.exec(statement.returning(col(Suppression.scope)))).first() is not None


async def unsuppress(
    session: AsyncSession, address_ref: bytes, channel: Channel, scope: str, *, reason: str | None = None
) -> bool:
    """Use an address again; returns False if it was not suppressed (for that reason, where one is given)."""
    statement = delete(Suppression).where(
        col(Suppression.address_ref) == address_ref,
        col(Suppression.channel) == channel,
        col(Suppression.scope) == scope,
    )
    if reason is not None:
        statement = statement.where(col(Suppression.reason) == reason)
    return (await session.exec(statement.returning(col(Suppression.scope)))).first() is not None


async def list_suppressions(
    session: AsyncSession, *, after: tuple[bytes, str, str] | None = None, limit: int = 50
) -> list[Suppression]:
    """A page in the order of the key; `after` is the key (address_ref, channel, scope) of the last row before."""
    key = (col(Suppression.address_ref), col(Suppression.channel), col(Suppression.scope))
    statement = select(Suppression).order_by(*key).limit(limit)
    if after is not None:
        statement = statement.where(tuple_(*key) > tuple_(*after))
    return list(await session.exec(statement))
