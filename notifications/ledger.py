"""The ledger: claim → send → record, over lists of rows, and what people may do to a message.

The ledger decides, Temporal waits: each method is one transaction, safe to run twice, and no connection is held
while a provider is called.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.claims import Claim, Try, Verdict, claim_of
from notifications.database import Sessions, execute, execute_alone, execute_prepared, transaction
from notifications.queries import ledger as sql
from notifications.queries.claim import CLAIM
from notifications.statuses import AttemptOutcome, MessageStatus, SkipReason

__all__ = ["Claim", "Ledger", "MessageAnswer", "Recorded", "Result", "Try", "Verdict"]

# From a claim until its call is over, whatever becomes of the process: 5 s to begin, 20 s for the call, 1 s of grace.
CALL_WINDOW = timedelta(seconds=26)
_REMEMBERED_CLAIMS = 10_000  # more than a process can have in flight


@dataclass(frozen=True, slots=True)
class Result:
    """How a claimed attempt went. `delay` is the wait before the next try, for outcomes that have one.

    `failover`: another provider is tried now, so that a fault of our account does not make the message stuck.
    """

    origin_id: UUID
    seq: int
    attempt: int
    provider: str
    outcome: AttemptOutcome
    started_at: datetime
    finished_at: datetime
    code: str | None = None
    detail: str | None = None
    provider_message_id: str | None = None
    delay: timedelta = timedelta()
    stick: bool = True
    failover: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row after `record`; `stuck_reason` is set where it now waits for an operator."""

    origin_id: UUID
    seq: int
    status: MessageStatus
    reason: str | None
    stuck_reason: str | None
    round: int
    attempt: int
    failures: int


@dataclass(frozen=True, slots=True)
class MessageAnswer:
    """`answer` is cancelled, or too_late where the call had begun or the message had ended otherwise."""

    seq: int
    answer: str
    status: MessageStatus


class Ledger:
    """One per process; `process` tells its claims from those of an earlier life of the same worker.

    Nobody takes a claim over before `call_window` is over: its call may still be under way.
    """

    def __init__(self, sessions: Sessions, *, process: str, call_window: timedelta = CALL_WINDOW) -> None:
        self._sessions = sessions
        self._process = process
        self._call_window = call_window
        self._given: dict[tuple[int, int], tuple[int, datetime, int]] = {}  # the oldest first

    async def claim(self, tries: Sequence[Try]) -> list[Claim]:
        """Claim what may be sent, in key order; checks and skips are made in the same statement."""
        parameters = {"process": self._process, "call_window": self._call_window, "tries": _json(tries)}
        rows = await execute_alone(self._sessions, CLAIM, parameters)
        return [self._give(claim_of(row)) for row in rows]

    def _give(self, claim: Claim) -> Claim:
        """Hand a claim out once: whoever had it may have begun the call, so the same try again sends nothing.

        Claimed, but the answer of Postgres lost: it was not handed out, and the same try goes on.
        """
        if claim.verdict is not Verdict.CLAIMED:
            return claim
        key = (claim.origin_id.int, claim.seq)
        given = self._given.pop(key, None)
        self._given[key] = claim.held
        if given == claim.held:
            return claim._replace(verdict=Verdict.SUPERSEDED)
        if len(self._given) > _REMEMBERED_CLAIMS:
            del self._given[next(iter(self._given))]
        return claim

    async def record(self, results: Sequence[Result]) -> list[Recorded]:
        """Write what the provider answered, or that it did not; a second record of the same attempt changes nothing."""
        parameters = {"results": _json(results)}
        if all(result.outcome == AttemptOutcome.ACCEPTED for result in results):
            rows = await execute_alone(self._sessions, sql.RECORD, parameters)
        else:
            async with transaction(self._sessions) as session:
                rows = await self._record_failures(session, parameters)
        return [Recorded(origin, seq, MessageStatus(status), *rest) for origin, seq, status, *rest in rows]

    async def _record_failures(self, session: AsyncSession, parameters: Mapping[str, str]) -> Sequence[Any]:
        """Nobody is asked what to do with a message whose notification was cancelled during its call."""
        rows = await execute_prepared(session, sql.RECORD, parameters)
        if await self._end_cancelled(session, {row.origin_id for row in rows if row.stuck_reason}):
            rows = await execute_prepared(session, sql.RECORD, parameters)
        return rows

    async def _end_cancelled(self, session: AsyncSession, stuck: Collection[UUID]) -> bool:
        if not stuck:
            return False
        seen = await execute(session, sql.SEE_CANCELS, {"ids": list(stuck)})
        cancelled = [row.id for row in seen if row.cancelled_at is not None]
        if cancelled:
            await execute(session, sql.CANCEL, {"ids": cancelled})
        return bool(cancelled)

    async def release(self, claims: Iterable[Claim]) -> None:
        """Give back rows whose call has not begun."""
        given = list(claims)
        parameters = _columns(given, origin_ids="origin_id", seqs="seq", attempts="attempt", scheduled="scheduled_at")
        async with transaction(self._sessions) as session:
            await execute(session, sql.RELEASE, {"process": self._process, **parameters})
        for claim in given:
            key = (claim.origin_id.int, claim.seq)
            if self._given.get(key) == claim.held:
                del self._given[key]

    async def expire(self, notification_id: UUID) -> None:
        """End what is past its time: `failed` where it was tried, else `skipped` (expired).

        A claim that is too old to be alive ends as `unknown`: no later try will take it over.
        """
        async with transaction(self._sessions) as session:
            await execute(session, sql.EXPIRE, {"ids": [notification_id]})

    async def skip(self, notification_id: UUID, seq: int, reason: SkipReason = SkipReason.OPERATOR) -> None:
        """Give up a stuck message."""
        async with transaction(self._sessions) as session:
            await execute(session, sql.SKIP, {"ids": [notification_id], "seq": seq, "reason": reason})

    async def end_fallback(self, notification_id: UUID, step: int) -> None:
        """An earlier channel was accepted: those after `step` are not needed."""
        async with transaction(self._sessions) as session:
            await execute(session, sql.NOT_NEEDED, {"ids": [notification_id], "step": step})

    async def raise_round(
        self, notification_id: UUID, seq: int, *, from_round: int, definition_version: int | None = None
    ) -> None:
        """Free a stuck message for another round with a budget of its own; `definition_version` mends a template."""
        where = {"origin_id": notification_id, "seq": seq, "round": from_round}
        async with transaction(self._sessions) as session:
            await execute(session, sql.RAISE_ROUND, where | {"definition_version": definition_version})

    async def raise_round_for_duplicate(self, notification_id: UUID, seq: int) -> int | None:
        """Free an `unknown` message to be sent once more, a duplicate accepted.

        None: it is not unknown, it has expired, or its notification was cancelled.
        """
        async with transaction(self._sessions) as session:
            return (
                await execute(session, sql.RESEND_UNKNOWN, {"origin_id": notification_id, "seq": seq})
            ).scalar_one_or_none()

    async def cancel(self, session: AsyncSession, notification_ids: Sequence[UUID]) -> dict[UUID, list[MessageAnswer]]:
        """Cancel by compare-and-set inside the caller's transaction; wake the workflows after it commits.

        From the commit on nothing of these notifications is planned or claimed.
        """
        ids = list(notification_ids)
        await execute(session, sql.WITHDRAW, {"ids": ids})
        await execute(session, sql.CANCEL, {"ids": ids})
        rows = await execute(session, sql.STATUSES, {"ids": ids})
        answers: dict[UUID, list[MessageAnswer]] = {notification_id: [] for notification_id in ids}
        for row in rows.mappings():
            status = MessageStatus(row["status"])
            answer = "cancelled" if status is MessageStatus.CANCELLED else "too_late"
            answers[row["origin_id"]].append(MessageAnswer(row["seq"], answer, status))
        return answers

    async def reschedule(self, notification_id: UUID, not_before: datetime) -> bool:
        """Move what has not been tried to another time; its expiry moves along unless the event fixed one.

        What is not planned yet will be planned for that time. Returns False when nothing was left to move.
        """
        async with transaction(self._sessions) as session:
            found = (await execute(session, sql.HOLD_FOR_RESCHEDULE, {"id": notification_id})).one_or_none()
            if found is None:
                return False
            shift = timedelta() if found.fixed else not_before - found.due_at
            moved = await execute(
                session, sql.RESCHEDULE_MESSAGES, {"id": notification_id, "not_before": not_before, "shift": shift}
            )
            if moved.first() is None and (await execute(session, sql.IS_PLANNED, {"id": notification_id})).scalar():
                return False
            parameters = {"id": notification_id, "at": not_before, "shift": shift}
            await execute(session, sql.RESCHEDULE_NOTIFICATION, parameters)
        return True


def _columns(rows: Sequence[object], **fields: str) -> dict[str, list[object]]:
    return {name: [getattr(row, field) for row in rows] for name, field in fields.items()}


def _json(rows: Sequence[object]) -> str:
    """A list of dataclasses for `json_to_recordset`; durations as seconds."""
    return orjson.dumps(rows, default=timedelta.total_seconds).decode()
