"""What providers report, brought into the ledger: in any order, however often, before or after our own record."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.consent import SCOPE_ALL
from notifications.database import Sessions, execute, transaction
from notifications.providers.receipts import Correlation, ReceiptEvent, SuppressReason
from notifications.queries import receipts as sql
from notifications.queries.recipients import suppress
from notifications.statuses import Channel, MessageStatus

_SUPPRESS = "suppress"  # in the details of a kept receipt


class Fate(StrEnum):
    """What became of a receipt."""

    APPLIED = "applied"  # the message has a new status
    UNCHANGED = "unchanged"  # the message knows better: a higher status, or a later attempt
    DOUBLED = "doubled"  # it came before
    WAITING = "waiting"  # nobody knows the message yet


@dataclass(frozen=True, slots=True)
class Taken:
    """A receipt and what became of it; `was` is the message's status before, where there is a message.

    `is_running`: it is a notification's, which has not ended.
    """

    event: ReceiptEvent
    fate: Fate
    origin_id: UUID | None
    seq: int | None
    was: MessageStatus | None
    is_running: bool

    @property
    def settles_a_wait(self) -> bool:
        """Whether a workflow may be waiting for it, or for a try or an operator that is not needed any more.

        Of a call under way the workflow hears anyway.
        """
        return self.fate is Fate.APPLIED and self.is_running and self.was is not MessageStatus.SENDING


class Receipts:
    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def take(self, events: Sequence[ReceiptEvent]) -> list[Taken]:
        """Keep each receipt once and apply those whose message is known, in one transaction; safe to run twice."""
        unique = list({(event.provider, event.receipt_id): event for event in events}.values())
        if not unique:
            return []
        async with transaction(self._sessions) as session:
            return await self._take(session, await self._correlated(session, unique))

    async def match_waiting(self, *, limit: int = 500) -> list[Taken]:
        """Apply what came before our own record of the attempt; by several processes at once, each another part."""
        async with transaction(self._sessions) as session:
            rows = (await execute(session, sql.WAITING, {"limit": limit})).mappings().all()
            return await self._take(session, [_kept(row) for row in rows]) if rows else []

    async def _correlated(self, session: AsyncSession, events: Sequence[ReceiptEvent]) -> list[ReceiptEvent]:
        """Find the attempt by the provider's own id where the correlation slot came back empty."""
        lost = [event for event in events if event.correlation is None and event.provider_message_id is not None]
        if not lost:
            return list(events)
        parameters = {
            "providers": [event.provider for event in lost],
            "provider_message_ids": [event.provider_message_id for event in lost],
        }
        rows = (await execute(session, sql.FIND_ATTEMPTS, parameters)).all()
        found = {
            (row.provider, row.provider_message_id): Correlation(row.origin_id, row.seq, row.attempt) for row in rows
        }
        return [
            replace(event, correlation=event.correlation or found.get((event.provider, event.provider_message_id)))
            for event in events
        ]

    async def _take(self, session: AsyncSession, events: Sequence[ReceiptEvent]) -> list[Taken]:
        rows = (await execute(session, sql.TAKE, _columns(events))).mappings().all()
        by_id = {(event.provider, event.receipt_id): event for event in events}
        taken = []
        for row in rows:
            event = by_id[row["provider"], row["receipt_id"]]
            if event.suppress is not None and row["fate"] in {Fate.APPLIED, Fate.UNCHANGED}:
                await _suppress(session, event, event.suppress, row)
            was = MessageStatus(row["was"]) if row["was"] else None
            taken.append(Taken(event, Fate(row["fate"]), row["origin_id"], row["seq"], was, row["is_running"]))
        return taken


async def _suppress(
    session: AsyncSession, event: ReceiptEvent, reason: SuppressReason, row: RowMapping | Mapping[str, object]
) -> None:
    """A repeat of the receipt does not come here: it would bring back what somebody lifted."""
    reference = row["address_ref"]
    if isinstance(reference, bytes):
        scope = str(row["category"]) if reason is SuppressReason.OPTED_OUT else SCOPE_ALL
        await suppress(session, reference, Channel(str(row["channel"])), scope, reason, event.provider)


def _columns(events: Iterable[ReceiptEvent]) -> dict[str, list[object]]:
    given = sorted(events, key=lambda event: (event.provider, event.receipt_id))
    correlations = [event.correlation for event in given]
    return {
        "providers": [event.provider for event in given],
        "receipt_ids": [event.receipt_id for event in given],
        "provider_message_ids": [event.provider_message_id for event in given],
        "origin_ids": [each.origin_id if each else None for each in correlations],
        "seqs": [each.seq if each else None for each in correlations],
        "attempts": [each.attempt if each else None for each in correlations],
        "statuses": [str(event.status) for event in given],
        "reasons": [event.reason for event in given],
        "details": [_details(event) for event in given],
        "occurred": [event.occurred_at for event in given],
    }


def _details(event: ReceiptEvent) -> str:
    return json.dumps({**event.details} | ({_SUPPRESS: str(event.suppress)} if event.suppress else {}))


def _kept(row: RowMapping) -> ReceiptEvent:
    details = dict(row["details"])
    reason = details.pop(_SUPPRESS, None)
    return ReceiptEvent(
        provider=row["provider"],
        receipt_id=row["receipt_id"],
        provider_message_id=row["provider_message_id"],
        correlation=Correlation(row["origin_id"], row["seq"], row["attempt"]),
        status=MessageStatus(row["status"]),
        occurred_at=row["occurred_at"],
        reason=row["reason"],
        suppress=SuppressReason(reason) if reason else None,
        details=details,
    )
