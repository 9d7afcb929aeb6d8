"""May this recipient be reached for this category on this channel?"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.catalogue.definition import Category, ConsentDefault
from notifications.database import execute_prepared
from notifications.profiles.profile import Profile
from notifications.queries.plans import CONSENT
from notifications.statuses import Channel, SkipReason

SCOPE_ALL = "all"  # a suppression that holds for every category; any other scope is a category's name


@dataclass(frozen=True, slots=True)
class Consent:
    """What our own tables say; `suppressions` holds (address_ref, channel, scope)."""

    preferences: Mapping[tuple[str, Channel], bool] = field(default_factory=dict)
    suppressions: frozenset[tuple[bytes, Channel, str]] = frozenset()

    def suppresses(self, address_ref: bytes, channel: Channel, scope: str) -> bool:
        return (address_ref, channel, scope) in self.suppressions


async def load_consent(session: AsyncSession, recipient_id: str | None, address_refs: Iterable[bytes]) -> Consent:
    """The choices of a recipient made through Tidings, and the suppressions of any of these addresses."""
    parameters = {"recipient_id": recipient_id, "refs": sorted(set(address_refs))}
    rows = await execute_prepared(session, CONSENT, parameters)
    return Consent(
        {(row.category, Channel(row.channel)): row.opted_in for row in rows if row.address_ref is None},
        frozenset((row.address_ref, Channel(row.channel), row.scope) for row in rows if row.address_ref is not None),
    )


def allows(
    category: Category, channel: Channel, profile: Profile, consent: Consent, address_ref: bytes | None = None
) -> SkipReason | None:
    """None, or why not. Without `address_ref` only the recipient's choice is looked at.

    A choice made through Tidings wins over the profile's own; a required category cannot be opted out of, and only
    a suppression of scope `all` (the address bounces, or its owner complained) stops it.
    """
    required = category.default is ConsentDefault.REQUIRED
    if address_ref is not None:
        scopes = (SCOPE_ALL,) if required else (SCOPE_ALL, category.name)
        if any(consent.suppresses(address_ref, channel, scope) for scope in scopes):
            return SkipReason.SUPPRESSED
    if required:
        return None
    choice = (category.name, channel)
    opted_in = consent.preferences.get(choice, profile.preferences.get(choice))
    if opted_in is None:
        opted_in = category.default is ConsentDefault.OPTED_IN
    return None if opted_in else SkipReason.OPTED_OUT
