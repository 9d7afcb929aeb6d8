"""What is known of each provider account: an operator's pause, shared by every worker through one row."""

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
