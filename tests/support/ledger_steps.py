"""One message through claim and record, as the ledger's tests tell it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import col, select

from notifications.database import Sessions, transaction
from notifications.ledger import Claim, Ledger, Recorded, Result, Try
from notifications.statuses import AttemptOutcome
from notifications.tables import Message, OutboxEntry

T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)
SECOND = timedelta(seconds=1)


async def claim(ledger: Ledger, origin: UUID, at: datetime = T0, *, number: int = 1, stick: bool = True) -> Claim:
    (found,) = await ledger.claim([Try(origin, 1, number, at, "smtp", stick)])
    return found


async def record(
    ledger: Ledger, origin: UUID, attempt: int, outcome: AttemptOutcome, *, delay: float = 1, stick: bool = True
) -> Recorded:
    now = datetime.now(UTC)
    code = None if outcome is AttemptOutcome.ACCEPTED else "smtp_451"
    result = Result(origin, 1, attempt, "smtp", outcome, now, now, code, None, "q-1", timedelta(seconds=delay), stick)
    (found,) = await ledger.record([result])
    return found


async def message(sessions: Sessions, origin: UUID) -> Message:
    async with sessions() as session:
        return (await session.exec(select(Message).where(Message.origin_id == origin, Message.seq == 1))).one()


async def change(sessions: Sessions, origin: UUID, **values: object) -> None:
    async with transaction(sessions) as session:
        row = (await session.exec(select(Message).where(Message.origin_id == origin))).one()
        for name, value in values.items():
            setattr(row, name, value)
        session.add(row)


async def outcomes(sessions: Sessions, origin: UUID) -> list[tuple[str, bool, int]]:
    async with sessions() as session:
        rows = await session.exec(
            select(OutboxEntry).where(OutboxEntry.origin_id == origin).order_by(col(OutboxEntry.id))
        )
        return [(row.status, row.stuck, row.version) for row in rows]
