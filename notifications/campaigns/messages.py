"""A campaign's messages one by one: pages of them, and all of them as a file."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from notifications.database import Sessions, execute_alone
from notifications.ids import message_id
from notifications.imports.refused import harmless
from notifications.queries.campaign_messages import BLOCK
from notifications.statuses import MessageStatus

EXPORT_BLOCK = 2_000  # rows read, written and forgotten at a time
COLUMNS = (
    "seq",
    "id",
    "recipient_id",
    "device_id",
    "status",
    "reason",
    "round",
    "attempt",
    "provider",
    "provider_message_id",
    "updated_at",
)


class ExportFormat(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which messages; None: whatever it is."""

    status: MessageStatus | None = None
    reason: str | None = None
    recipient: str | None = None


async def block(sessions: Sessions, campaign_id: UUID, chosen: Chosen, *, after: int, limit: int) -> Sequence[Any]:
    """Rows with the columns of BLOCK that follow number `after`; one short transaction."""
    parameters = {"campaign": campaign_id, "after": after, "limit": limit}
    parameters |= {"status": chosen.status, "reason": chosen.reason, "recipient": chosen.recipient}
    return await execute_alone(sessions, BLOCK, parameters)


async def export(
    sessions: Sessions, campaign_id: UUID, chosen: Chosen, kind: ExportFormat, *, size: int = EXPORT_BLOCK
) -> AsyncIterator[bytes]:
    """All of them as a file, in pieces. Each row is as it was when its block was read."""
    encode = _ENCODERS[kind]
    if kind is ExportFormat.CSV:
        yield _csv([COLUMNS])
    after = 0
    while rows := await block(sessions, campaign_id, chosen, after=after, limit=size):
        yield encode([_fields(campaign_id, row) for row in rows])
        after = rows[-1].seq


def _fields(campaign_id: UUID, row: Any) -> tuple[Any, ...]:
    """In the order of COLUMNS."""
    return (
        row.seq,
        str(message_id(campaign_id, row.seq)),
        row.recipient_id,
        row.device_id,
        row.status,
        row.reason,
        row.round,
        row.attempt,
        row.provider,
        row.provider_message_id,
        row.updated_at.isoformat(),
    )


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out).writerows([harmless(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return out.getvalue().encode()


def _ndjson(rows: Sequence[Sequence[Any]]) -> bytes:
    return b"".join(
        json.dumps(dict(zip(COLUMNS, row, strict=True)), ensure_ascii=False).encode() + b"\n" for row in rows
    )


_ENCODERS: dict[ExportFormat, Callable[[Sequence[Sequence[Any]]], bytes]] = {
    ExportFormat.CSV: _csv,
    ExportFormat.NDJSON: _ndjson,
}
