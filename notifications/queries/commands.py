"""Rows as a person's command needs them: locked, so that two commands on one thing come one after the other."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.tables import Recipient, Suppression


async def lock_recipient(session: AsyncSession, recipient_id: str) -> Recipient | None:
    """The recipient, held until the transaction ends."""
    return await session.get(Recipient, recipient_id, with_for_update=True)


async def suppressions_of(session: AsyncSession, address_ref: bytes, channel: str) -> list[Suppression]:
    statement = select(Suppression).where(
        col(Suppression.address_ref) == address_ref, col(Suppression.channel) == channel
    )
    return list(await session.exec(statement.order_by(col(Suppression.scope))))
