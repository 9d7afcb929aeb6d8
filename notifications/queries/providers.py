"""What is known of each provider account: an operator's pause and the breaker, shared by every worker in one row."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.database import execute
from notifications.tables import ProviderState

# A second pause keeps the time of the first: the budgets of its messages stand still since then.
_PAUSE = """
INSERT INTO provider_states (provider, channel, failures, paused_at, paused_by, pause_reason)
SELECT :provider, c.channel, 0, now(), :paused_by, :reason
FROM unnest(CAST(:channels AS text[])) AS c (channel) ORDER BY c.channel
ON CONFLICT (provider, channel) DO UPDATE SET
    paused_at = CASE WHEN provider_states.paused_at IS NOT NULL AND provider_states.resumed_at IS NULL
                     THEN provider_states.paused_at ELSE excluded.paused_at END,
    resumed_at = NULL, paused_by = excluded.paused_by, pause_reason = excluded.pause_reason, next_look_at = NULL,
    updated_at = now()
"""

_RESUME = """
UPDATE provider_states SET resumed_at = now(), next_look_at = NULL, updated_at = now()
WHERE provider = :provider AND channel = ANY (CAST(:channels AS text[]))
  AND paused_at IS NOT NULL AND resumed_at IS NULL
"""

# While the breaker is open, calls that began before tell nothing new.
_COUNT_OUTAGE = """
INSERT INTO provider_states (provider, channel, failures, reason) VALUES (:provider, :channel, 1, :reason)
ON CONFLICT (provider, channel) DO UPDATE SET failures = provider_states.failures + 1, reason = excluded.reason,
    updated_at = now()
WHERE provider_states.open_until IS NULL OR provider_states.open_until <= now()
RETURNING failures
"""

# Twice as long each time a probe fails, with a fifth of jitter, so that several providers' probes fall apart.
_OPEN = """
UPDATE provider_states SET
    opened_at = coalesce(opened_at, now()), probe_at = NULL, updated_at = now(),
    open_until = now() + least(:shortest * power(2, least(failures - :threshold, 30)), :longest)
                         * (0.8 + 0.4 * random()) * interval '1 second'
WHERE provider = :provider AND channel = :channel
"""

_CLOSE = """
WITH was AS (
    SELECT provider, channel, open_until FROM provider_states
    WHERE provider = :provider AND channel = :channel AND failures > 0 FOR UPDATE
)
UPDATE provider_states p SET failures = 0, open_until = NULL, opened_at = NULL, probe_at = NULL, reason = NULL,
    next_look_at = CASE WHEN p.paused_at IS NOT NULL AND p.resumed_at IS NULL THEN p.next_look_at END,
    updated_at = now()
FROM was WHERE p.provider = was.provider AND p.channel = was.channel
RETURNING was.open_until IS NOT NULL
"""


async def count_outage(session: AsyncSession, provider: str, channel: str, reason: str | None) -> int | None:
    """Failures in a row, this one included; None: the breaker is open already."""
    parameters = {"provider": provider, "channel": channel, "reason": reason}
    return (await execute(session, _COUNT_OUTAGE, parameters)).scalar_one_or_none()


async def open_breaker(
    session: AsyncSession, provider: str, channel: str, *, threshold: int, shortest: float, longest: float
) -> None:
    """For `shortest` seconds after `threshold` failures, doubled with each further one up to `longest`."""
    limits = {"threshold": threshold, "shortest": shortest, "longest": longest}
    await execute(session, _OPEN, {"provider": provider, "channel": channel, **limits})


async def close_breaker(session: AsyncSession, provider: str, channel: str) -> bool:
    """Forget the failures; whether it was open."""
    return bool((await execute(session, _CLOSE, {"provider": provider, "channel": channel})).scalar_one_or_none())


async def pause(
    session: AsyncSession, provider: str, channels: Sequence[str], *, paused_by: str, reason: str | None
) -> None:
    """From the commit on nothing is claimed for it; a call that has begun goes on."""
    parameters: dict[str, Any] = {
        "provider": provider,
        "channels": list(channels),
        "paused_by": paused_by,
        "reason": reason,
    }
    await execute(session, _PAUSE, parameters)


async def resume(session: AsyncSession, provider: str, channels: Sequence[str]) -> None:
    await execute(session, _RESUME, {"provider": provider, "channels": list(channels)})


async def states(session: AsyncSession) -> list[ProviderState]:
    """Rows as they are now; a provider without one is running."""
    statement = select(ProviderState).order_by(col(ProviderState.channel), col(ProviderState.provider))
    return list(await session.exec(statement.execution_options(populate_existing=True)))
