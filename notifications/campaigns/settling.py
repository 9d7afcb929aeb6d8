"""After a campaign was cancelled, or failed: every message ends, those included whose worker died during the call.

A cancel decides by the campaign's row alone, at once; this writes down for each message what it decided.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from notifications.campaigns.ranges import ANSWER_WINDOW
from notifications.campaigns.snapshot import RANGE_SIZE
from notifications.database import Sessions, execute_alone
from notifications.queries import settling as sql

BLOCK = 8 * RANGE_SIZE  # numbers that one transaction looks at


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of one block: `rows` ended, `unknown` of them so; `open` calls may still be answered.

    `next` is where the next block begins, or None.
    """

    rows: int
    unknown: int
    open: int
    next: int | None


class Settling:
    """One per process. No call is taken for lost before `answer_window` is over."""

    def __init__(self, sessions: Sessions, *, answer_window: timedelta = ANSWER_WINDOW, block: int = BLOCK) -> None:
        self._sessions = sessions
        self._answer_window = answer_window
        self._block = block

    async def settle_block(self, campaign_id: UUID, after: int) -> Settled:
        """End what waits of the messages after that number, for a campaign of which nothing is claimed any more."""
        where: dict[str, Any] = {"campaign": campaign_id}
        ((last,),) = await execute_alone(self._sessions, sql.LAST, where)
        upto = after + self._block
        block = where | {"after": after, "upto": upto, "answer_window": self._answer_window}
        ((rows, unknown, still_open),) = await execute_alone(self._sessions, sql.SETTLE, block)
        return Settled(rows, unknown, still_open, upto if upto < last else None)
