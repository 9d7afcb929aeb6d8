"""What the notification's own row says of its messages: stuck, or ended and how."""

from datetime import datetime
from uuid import UUID

from notifications.database import Sessions, execute, execute_alone, transaction
from notifications.plans import UnknownNotificationError
from notifications.statuses import ACCEPTED, NotificationStatus

_QUOTED = ", ".join(f"'{status}'" for status in sorted(ACCEPTED))

# The first that holds, DESIGN "Words". Nothing planned at all counts as skipped.
_FINISH = f"""
WITH ends AS (
    SELECT count(*) FILTER (WHERE status IN ('pending', 'sending')) AS open,
           bool_or(status IN ({_QUOTED}, 'unknown')) AS done,
           bool_or(status IN ('failed', 'bounced')) AS failed,
           bool_or(status = 'cancelled') AS cancelled,
           bool_or(status = 'skipped' AND reason = 'expired') AS expired
    FROM messages WHERE origin_id = %(id)s
)
UPDATE notifications SET
    status = CASE WHEN ends.done THEN 'done' WHEN ends.failed THEN 'failed' WHEN ends.cancelled THEN 'cancelled'
                  WHEN ends.expired THEN 'expired' ELSE 'skipped' END,
    finished_at = coalesce(finished_at, now()), tried_at = coalesce(tried_at, now()), wake_at = NULL
FROM ends WHERE id = %(id)s AND ends.open = 0 AND finished_at IS NULL
RETURNING notifications.status
"""

_STUCK = """
UPDATE notifications SET status = 'stuck', tried_at = coalesce(tried_at, now()), wake_at = expires_at
WHERE id = %(id)s AND finished_at IS NULL
  AND EXISTS (SELECT FROM messages WHERE origin_id = %(id)s AND stuck_reason IS NOT NULL)
RETURNING status
"""

_RUNNING = """
UPDATE notifications SET status = 'running', wake_at = now() WHERE id = %(id)s AND status = 'stuck'
  AND NOT EXISTS (SELECT FROM messages WHERE origin_id = %(id)s AND stuck_reason IS NOT NULL)
RETURNING status
"""

_STATUS = "SELECT status FROM notifications WHERE id = %(id)s"


# `wake_at` is when the workflow goes on by itself: before that time nobody has to look whether it does.
_EXPECT_RECEIPT = "UPDATE notifications SET wake_at = :until WHERE id = :id AND finished_at IS NULL"


class Progress:
    """Each method raises UnknownNotificationError where the row is gone."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def finish(self, notification_id: UUID) -> NotificationStatus:
        """Record how the notification ended; while a message is open nothing changes."""
        return await self._update(_FINISH, notification_id)

    async def stuck(self, notification_id: UUID) -> NotificationStatus:
        """A message waits for an operator; it no longer counts as untried."""
        return await self._update(_STUCK, notification_id)

    async def expect_receipt(self, notification_id: UUID, until: datetime) -> None:
        """A fallback waits for a receipt before it goes on."""
        async with transaction(self._sessions) as session:
            await execute(session, _EXPECT_RECEIPT, {"id": notification_id, "until": until})

    async def running(self, notification_id: UUID) -> NotificationStatus:
        """No message is stuck any more."""
        return await self._update(_RUNNING, notification_id)

    async def _update(self, statement: str, notification_id: UUID) -> NotificationStatus:
        where = {"id": notification_id}
        changed = await execute_alone(self._sessions, statement, where)
        found = changed or await execute_alone(self._sessions, _STATUS, where)
        if not found:
            raise UnknownNotificationError(str(notification_id))
        return NotificationStatus(found[0].status)
