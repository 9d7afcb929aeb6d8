"""Write profiles and choices: checked first, with messages that name the field and never the value."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlmodel.ext.asyncio.session import AsyncSession

from api.collaborators import Published
from api.context import ApiContext
from api.problems import CONSENT_REQUIRED, INVALID, NOT_FOUND, PROFILES_ELSEWHERE, UNAVAILABLE, ProblemError
from api.schemas.recipients import (
    PreferencesView,
    PreferencesWrite,
    PreferenceView,
    PreferenceWrite,
    RecipientPatch,
    RecipientView,
    RecipientWrite,
)
from notifications.catalogue.definition import Category, ConsentDefault
from notifications.profiles.fields import checked_profile
from notifications.profiles.profile import ProfileUnavailableError
from notifications.queries import commands, recipients
from notifications.statuses import Channel
from notifications.tables import Preference

_CLOCK_SKEW = timedelta(minutes=5)
_GUEST = "guest-"


def require_own_profiles(context: ApiContext) -> None:
    """Profiles can be written here only where they live here."""
    url = context.settings.profile_url
    if url is not None:
        host = urlsplit(url).hostname
        raise ProblemError(PROFILES_ELSEWHERE, f"profiles live in the external profile service at {host}")


async def read_recipient(context: ApiContext, session: AsyncSession, recipient_id: str) -> RecipientView:
    if not context.profiles.is_local:
        try:
            profile = await context.profiles.get(recipient_id)
        except ProfileUnavailableError as error:
            detail = "the external profile service does not answer"
            raise ProblemError(UNAVAILABLE, detail, headers={"Retry-After": "5"}) from error
        if profile is None:
            raise _unknown(recipient_id)
        return RecipientView.of_external(profile)
    row = await recipients.read_recipient(session, recipient_id)
    if row is None:
        raise _unknown(recipient_id)
    return RecipientView.of(row, await recipients.list_devices(session, recipient_id))


async def replace_recipient(
    context: ApiContext, session: AsyncSession, recipient_id: str, wanted: RecipientWrite
) -> bool:
    """Returns whether it is new."""
    known = await commands.lock_recipient(session, recipient_id)
    await _write(context, session, recipient_id, wanted.model_dump())
    return known is None


async def patch_recipient(context: ApiContext, session: AsyncSession, recipient_id: str, patch: RecipientPatch) -> None:
    row = await commands.lock_recipient(session, recipient_id)
    if row is None:
        raise _unknown(recipient_id)
    kept = row.model_dump(include=set(RecipientWrite.model_fields))
    await _write(context, session, recipient_id, merged(kept, patch.model_dump(exclude_unset=True)))


async def require_recipient(session: AsyncSession, recipient_id: str) -> None:
    if await commands.lock_recipient(session, recipient_id) is None:
        raise _unknown(recipient_id)


def merged(kept: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396: null removes, objects are merged, everything else replaces."""
    result = dict(kept)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            before = result.get(name)
            result[name] = merged(before if isinstance(before, Mapping) else {}, value)
        else:
            result[name] = value
    return result


async def _write(context: ApiContext, session: AsyncSession, recipient_id: str, document: Mapping[str, Any]) -> None:
    try:
        profile = checked_profile(recipient_id, document)
    except ValueError as error:
        raise ProblemError(INVALID, str(error)) from None
    await recipients.upsert_recipient(session, profile, hash_key=context.hash_key)


def _unknown(recipient_id: str) -> ProblemError:
    return ProblemError(NOT_FOUND, f"no recipient {recipient_id}: create it with PUT /v1/recipients/{recipient_id}")


async def write_preferences(
    context: ApiContext, session: AsyncSession, recipient_id: str, wanted: PreferencesWrite
) -> PreferencesView:
    published = await context.catalogue.current()
    for choice in wanted.preferences:
        _check_choice(published, choice)
    if context.profiles.is_local and not recipient_id.startswith(_GUEST):
        await require_recipient(session, recipient_id)
    for choice in sorted(wanted.preferences, key=lambda item: (item.category, item.channel)):
        await recipients.set_preference(
            session,
            recipient_id,
            choice.category,
            choice.channel,
            opted_in=choice.opted_in,
            source=choice.source,
            time=choice.time,
        )
    return await read_preferences(context, session, recipient_id)


def _check_choice(published: Published, choice: PreferenceWrite) -> None:
    category = published.categories.get(choice.category)
    if category is None:
        known = ", ".join(sorted(published.categories)) or "none is published"
        raise ProblemError(INVALID, f"no category {choice.category!r}: there are {known}")
    if category.default is ConsentDefault.REQUIRED and not choice.opted_in:
        raise ProblemError(
            CONSENT_REQUIRED,
            f"{category.name} is required: messages of it are part of the service",
            category=category.name,
        )
    if choice.time is not None and choice.time > datetime.now(UTC) + _CLOCK_SKEW:
        raise ProblemError(INVALID, "`time` is in the future: no later choice could replace it")


async def read_preferences(context: ApiContext, session: AsyncSession, recipient_id: str) -> PreferencesView:
    published = await context.catalogue.current()
    kept = {
        (choice.category, choice.channel): choice for choice in await recipients.list_preferences(session, recipient_id)
    }
    return PreferencesView(
        recipient=recipient_id,
        preferences=[
            _effective(category, channel, kept.get((name, channel.value)))
            for name, category in sorted(published.categories.items())
            for channel in Channel
        ],
    )


def _effective(category: Category, channel: Channel, choice: Preference | None) -> PreferenceView:
    if category.default is ConsentDefault.REQUIRED:
        opted_in = True
    else:
        opted_in = choice.opted_in if choice is not None else category.default is ConsentDefault.OPTED_IN
    return PreferenceView(
        category=category.name,
        title=category.title,
        channel=channel,
        opted_in=opted_in,
        default=category.default,
        source=choice.source if choice is not None else None,
        time=choice.time if choice is not None else None,
    )
