"""Decide what an event becomes: which messages, when, and why a channel is not used. Pure: no clock, no database."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from notifications.catalogue.definition import Category, ConsentDefault, Definition
from notifications.consent import Consent, allows
from notifications.profiles.profile import Profile
from notifications.statuses import Channel, RoutingMode, SkipReason


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """One delivery, or the recorded reason why there is none (`skip`). `consent` is what it relies on."""

    step: int
    channel: Channel
    address: str | None = None
    address_ref: bytes | None = None
    device_id: str | None = None
    consent: str = "required"  # required | default | tidings | external
    skip: SkipReason | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """`not_before` is None for at once. Messages are in routing order; a step is one channel."""

    mode: RoutingMode
    not_before: datetime | None
    expires_at: datetime
    locale: str
    messages: tuple[PlannedMessage, ...]


def plan(
    definition: Definition,
    profile: Profile | None,
    consent: Consent,
    now: datetime,
    *,
    refer: Callable[[Channel, str], bytes],
    sendat: datetime | None = None,
    expires_at: datetime | None = None,
) -> Plan:
    """Plan a notification for a recipient as known `now`; `profile` None is an unknown recipient.

    `refer` gives an address's keyed hash (notifications.addresses.address_ref). `expires_at` is the event's own, or
    that of an earlier plan; without one the definition's `expire_after` counts from `sendat`, or from now.
    """
    starts = max(sendat, now) if sendat is not None else now
    expires_at = expires_at or starts + definition.delivery.expire_after
    messages = tuple(
        message
        for step, channel in enumerate(definition.routing.channels)
        for message in _messages(step, channel, definition.category, profile, consent, refer)
    )
    if expires_at <= starts:
        messages = tuple(_expired(message) for message in messages)
    return Plan(
        mode=definition.routing.mode,
        not_before=sendat if sendat is not None and sendat > now else None,
        expires_at=expires_at,
        locale=(profile.locale if profile is not None else None) or definition.default_locale,
        messages=messages,
    )


def _messages(
    step: int,
    channel: Channel,
    category: Category,
    profile: Profile | None,
    consent: Consent,
    refer: Callable[[Channel, str], bytes],
) -> Iterator[PlannedMessage]:
    if profile is None:
        yield PlannedMessage(step, channel, skip=SkipReason.UNKNOWN_RECIPIENT)
        return
    refused = allows(category, channel, profile, consent)
    targets = {refer(channel, address): (address, device_id) for address, device_id in _targets(channel, profile)}
    if refused is not None or not targets:
        yield PlannedMessage(step, channel, skip=refused or SkipReason.NO_ADDRESS)
        return
    for ref, (address, device_id) in targets.items():
        yield PlannedMessage(
            step,
            channel,
            address,
            ref,
            device_id,
            _basis(category, channel, profile, consent),
            allows(category, channel, profile, consent, ref),
        )


def _targets(channel: Channel, profile: Profile) -> Iterator[tuple[str, str | None]]:
    """The channel's addresses; push has one per device, and a token that two devices claim belongs to the last."""
    if channel is Channel.PUSH:
        yield from ((device.token, device.id) for device in profile.devices if device.token)
        return
    address = profile.email if channel is Channel.EMAIL else profile.phone
    if address:
        yield address, None


def _basis(category: Category, channel: Channel, profile: Profile, consent: Consent) -> str:
    """What the claim has to find unchanged."""
    if category.default is ConsentDefault.REQUIRED:
        return "required"
    choice = (category.name, channel)
    if choice in consent.preferences:
        return "tidings"
    return "external" if choice in profile.preferences else "default"


def _expired(message: PlannedMessage) -> PlannedMessage:
    if message.skip is not None:
        return message
    return PlannedMessage(
        message.step,
        message.channel,
        message.address,
        message.address_ref,
        message.device_id,
        message.consent,
        SkipReason.EXPIRED,
    )
