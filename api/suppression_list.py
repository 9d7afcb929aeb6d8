"""Suppress addresses and lift it again; only keyed hashes of them are kept."""

from sqlmodel.ext.asyncio.session import AsyncSession

from api.context import ApiContext
from api.problems import INVALID, NOT_FOUND, ProblemError
from api.schemas.recipients import AddressQuery, SuppressionView, SuppressionWrite
from notifications.addresses import address_ref, normalise_email, normalise_phone
from notifications.consent import SCOPE_ALL
from notifications.queries import commands, recipients
from notifications.statuses import Channel


async def add(context: ApiContext, session: AsyncSession, wanted: SuppressionWrite) -> tuple[SuppressionView, bool]:
    """The suppression, and whether it is new."""
    if wanted.scope != SCOPE_ALL:
        categories = (await context.catalogue.current()).categories
        if wanted.scope not in categories:
            known = ", ".join([SCOPE_ALL, *sorted(categories)])
            raise ProblemError(INVALID, f"no scope {wanted.scope!r}: there are {known}")
    ref = _ref(context, wanted)
    is_new = await recipients.suppress(session, ref, wanted.channel, wanted.scope, wanted.reason, "api")
    rows = await commands.suppressions_of(session, ref, wanted.channel)
    return next(SuppressionView.of(row) for row in rows if row.scope == wanted.scope), is_new


async def search(context: ApiContext, session: AsyncSession, wanted: AddressQuery) -> list[SuppressionView]:
    rows = await commands.suppressions_of(session, _ref(context, wanted), wanted.channel)
    return [SuppressionView.of(row) for row in rows]


async def lift(session: AsyncSession, suppression_id: str) -> None:
    parts = suppression_id.split(".", 2)
    try:
        ref, channel, scope = bytes.fromhex(parts[0]), Channel(parts[1]), parts[2]
    except (ValueError, IndexError):
        raise _unknown(suppression_id) from None
    if not await recipients.unsuppress(session, ref, channel, scope):
        raise _unknown(suppression_id)


def _unknown(suppression_id: str) -> ProblemError:
    return ProblemError(NOT_FOUND, f"no suppression {suppression_id}")


def _ref(context: ApiContext, wanted: AddressQuery) -> bytes:
    try:
        if wanted.channel is Channel.EMAIL:
            _ = normalise_email(wanted.address)
        elif wanted.channel is not Channel.PUSH:
            _ = normalise_phone(wanted.address)
    except ValueError as error:
        raise ProblemError(INVALID, f"address: {error}") from None
    return address_ref(context.hash_key, wanted.channel, wanted.address)
