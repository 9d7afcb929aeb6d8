"""Saved audiences: make them, delete them, and what an audience is as SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.audiences.audience import Audience, Everybody, Filtered, Named, Saved
from notifications.audiences.compile import compile_condition
from notifications.audiences.conditions import parse_condition
from notifications.audiences.lists import UploadedIds
from notifications.database import execute
from notifications.queries import audiences as queries
from notifications.queries import targets
from notifications.tables import SavedAudience


class UnknownAudienceError(LookupError):
    """There is no saved audience with this id."""


class AudienceInUseError(ValueError):
    """A launched campaign has yet to read the audience; names it."""


async def save_filter(session: AsyncSession, name: str, condition: Mapping[str, Any]) -> SavedAudience:
    """Raises ValueError where the condition cannot be read."""
    parse_condition(condition)
    return await _add(session, SavedAudience(name=name, filter=dict(condition)))


async def save_list(session: AsyncSession, name: str, ids: UploadedIds) -> SavedAudience:
    """Raises ValueError where the list is empty."""
    audience = await _add(session, SavedAudience(name=name, size=0))
    audience.size = await queries.insert_members(session, audience.id, ids.pieces())
    if not audience.size:
        raise ValueError("the list has no ids")
    return await _add(session, audience)


async def _add(session: AsyncSession, audience: SavedAudience) -> SavedAudience:
    session.add(audience)
    await session.flush()
    await session.refresh(audience)
    return audience


async def delete(session: AsyncSession, audience_id: UUID) -> None:
    """Raises UnknownAudienceError, and AudienceInUseError while a campaign needs it."""
    if not await queries.lock_audience(session, audience_id):
        raise unknown(audience_id)
    campaign = await queries.campaign_in_need(session, audience_id)
    if campaign is not None:
        raise AudienceInUseError(f"campaign {campaign} was launched with this audience and has yet to read it")
    await queries.delete_audience(session, audience_id)


def unknown(audience_id: UUID) -> UnknownAudienceError:
    return UnknownAudienceError(f"no saved audience {audience_id}: GET /v1/audiences lists them")


async def source_of(session: AsyncSession, audience: Audience, now: datetime) -> targets.Source:
    """The audience as SQL; relative times of a filter count from `now`. A saved one is kept from being deleted.

    Raises:
        UnknownAudienceError: the saved audience that it names is not there.

    """
    match audience:
        case Everybody():
            return targets.everybody()
        case Named(ids):
            return targets.named(ids)
        case Filtered(condition):
            where = compile_condition(condition, now)
            return targets.filtered(where.sql, where.parameters)
        case Saved(audience_id):
            saved = await queries.find_audience(session, audience_id, for_use=True)
            if saved is None:
                raise unknown(audience_id)
            if saved.filter is None:
                return targets.members(audience_id)
            return await source_of(session, Filtered(parse_condition(saved.filter)), now)


@dataclass(frozen=True, slots=True)
class Size:
    """Distinct recipients that an audience names, and how many of them are `known`."""

    named: int
    known: int


async def size_of(session: AsyncSession, source: targets.Source) -> Size:
    await execute(session, targets.READ_WHOLE_TABLES)
    found = (await execute(session, targets.count(source), source.parameters)).one()
    return Size(found.named, found.known)
