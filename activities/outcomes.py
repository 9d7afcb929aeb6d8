"""What came of a provider call, as the ledger and Temporal take it."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from notifications.ledger import Result
from notifications.providers.base import DeliveryError, ErrorScope, PermanentDeliveryError, TransientDeliveryError
from notifications.statuses import AttemptOutcome

_MAX_TEXT = 1_000  # characters that are kept of what a provider says


def ended(
    result: Result,
    outcome: AttemptOutcome,
    code: str | None,
    detail: str | None,
    provider_message_id: str | None = None,
    *,
    delay: timedelta = timedelta(),
) -> Result:
    return replace(
        result,
        outcome=outcome,
        code=_storable(code),
        detail=_storable(detail),
        provider_message_id=_storable(provider_message_id),
        delay=delay,
        finished_at=datetime.now(UTC),
    )


def outcome_of(error: DeliveryError) -> AttemptOutcome:
    if isinstance(error, TransientDeliveryError):
        return AttemptOutcome.TRANSIENT
    if isinstance(error, PermanentDeliveryError):
        return {
            ErrorScope.RECIPIENT: AttemptOutcome.REJECTED_RECIPIENT,
            ErrorScope.MESSAGE: AttemptOutcome.REJECTED_MESSAGE,
            ErrorScope.CONFIG: AttemptOutcome.REJECTED_CONFIG,
        }[error.scope]
    return AttemptOutcome.UNKNOWN


def next_delay(failures: int, error: DeliveryError | None) -> timedelta:
    """The wait before the next try: the provider's own, else the workflow's policy by failed tries of this round.

    Temporal's attempt number would begin anew after a reset; the ledger's count does not.
    """
    if isinstance(error, TransientDeliveryError) and error.retry_after is not None:
        return error.retry_after
    policy = activity.info().retry_policy
    if policy is None:
        return timedelta(seconds=1)
    grown = policy.initial_interval * policy.backoff_coefficient ** min(failures, 32)
    longest = policy.maximum_interval or policy.initial_interval * 100
    return min(grown, longest) * random.uniform(0.9, 1.1)  # noqa: S311 - jitter, not a secret


def again(kind: str, message: str, delay: timedelta) -> ApplicationError:
    return ApplicationError(
        f"{message}; next try in {delay.total_seconds():.1f} s",
        type=kind,
        next_retry_delay=delay,
        category=ApplicationErrorCategory.BENIGN,
    )


def _storable(text: str | None) -> str | None:
    """What Postgres takes: an outcome that cannot be written down would be a message that is sent again."""
    if text is None:
        return None
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:_MAX_TEXT]
