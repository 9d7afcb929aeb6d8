"""The choices that people make by the links of their messages. Nobody here commits."""

from datetime import UTC, datetime

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.tables import Preference
from notifications.unsubscribe import Subject


async def choose(session: AsyncSession, subject: Subject, *, opted_in: bool, source: str) -> bool:
    """Keep a choice that the person makes now; returns False, and changes nothing, where it is kept already.

    It holds even against a choice whose time is later by a clock that goes wrong: a withdrawal must not be lost.
    """
    statement = insert(Preference).values(
        recipient_id=subject.recipient_id,
        category=subject.category,
        channel=subject.channel,
        opted_in=opted_in,
        source=source,
        time=datetime.now(UTC),
    )
    new = statement.excluded
    changed = statement.on_conflict_do_update(
        index_elements=["recipient_id", "category", "channel"],
        set_={"opted_in": new.opted_in, "source": new.source, "time": func.greatest(new.time, Preference.time)},
        where=col(Preference.opted_in) != new.opted_in,
    )
    return (await session.exec(changed.returning(col(Preference.recipient_id)))).first() is not None
