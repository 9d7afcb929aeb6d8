"""Saved audiences: make, count, delete, and what an audience is as SQL."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.audiences.audience import Audience, Everybody, Filtered, Named, Saved
from notifications.audiences.compile import compile_condition
from notifications.audiences.conditions import parse_condition
from notifications.queries import audiences as queries
from notifications.queries import targets


class UnknownAudienceError(LookupError):
    """There is no saved audience with this id."""


class AudienceInUseError(ValueError):
    """A launched campaign has yet to read the audience; names it."""


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
                raise UnknownAudienceError(f"no saved audience {audience_id}: GET /v1/audiences lists them")
            if saved.filter is None:
                return targets.members(audience_id)
            return await source_of(session, Filtered(parse_condition(saved.filter)), now)
