"""Time-outs and retry policies, in one place.

A send is tried without a maximum of attempts: its budget is in the ledger (`retry_for`), its end is `expires_at`.
Our own servers' outages are tried again every few seconds, without end.
"""

from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import unsafe

with unsafe.imports_passed_through():
    from activities.infrastructure import MAX_BACKOFF
    from activities.sending import CALL_SECONDS, CLAIM_TO_CALL_SECONDS, RECORD_SECONDS
    from notifications.statuses import NotificationType

SEND_START_TO_CLOSE = timedelta(seconds=CLAIM_TO_CALL_SECONDS + CALL_SECONDS + RECORD_SECONDS)

SEND_RETRIES = {
    NotificationType.ALERT: RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=1.5, maximum_interval=timedelta(seconds=30)
    ),
    NotificationType.TRANSACTIONAL: RetryPolicy(
        initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=5)
    ),
    NotificationType.REMINDER: RetryPolicy(
        initial_interval=timedelta(seconds=2), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=5)
    ),
    NotificationType.PROMOTIONAL: RetryPolicy(
        initial_interval=timedelta(seconds=3), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=15)
    ),
}

# A local activity blocks updates while it runs, so a slow one goes on as an ordinary one.
LOCAL_LIMIT = timedelta(seconds=2)
LOCAL_ONCE = RetryPolicy(maximum_attempts=1)

OWN_SERVERS_START_TO_CLOSE = timedelta(seconds=15)
OWN_SERVERS_RETRY = RetryPolicy(
    initial_interval=timedelta(milliseconds=500), backoff_coefficient=2.0, maximum_interval=MAX_BACKOFF
)

REPLAN_AFTER = timedelta(minutes=5)  # a longer wait plans again when it ends
# For what should have ended: Postgres' clock decides, and may be behind; a call may still be under way.
LOOK_AGAIN = timedelta(seconds=5)

# A batch of a campaign ends by itself after ten minutes; its heartbeat tells a dead worker within seconds.
BATCH_START_TO_CLOSE = timedelta(minutes=15)
BATCH_HEARTBEAT = timedelta(seconds=10)
PREPARE_START_TO_CLOSE = timedelta(hours=6)
PREPARE_HEARTBEAT = timedelta(seconds=60)  # a block of the snapshot takes a few seconds
