"""Campaigns whose workflow should run, or should know better: what reconciliation looks at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notifications.database import Sessions, execute_alone
from notifications.statuses import CampaignState

LEFT_ALONE = timedelta(minutes=1)  # after a command: whoever gave it starts or wakes the workflow within seconds
CALLED_OFF = timedelta(days=1)  # so long what is left of one that was called off may still have to be written down

# In the order of ids: a round looks at each once. One that completed has told so by its workflow.
_SUSPECTS = """
SELECT id, round, name, state, starts_at FROM campaigns
WHERE id > %(after)s AND launched_at IS NOT NULL AND updated_at < now() - %(age)s
  AND (state IN ('scheduled', 'preparing', 'running', 'paused')
       OR state IN ('cancelled', 'failed') AND finished_at > now() - %(called_off)s)
ORDER BY id LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A campaign that has not ended, or was called off lately."""

    id: UUID
    round: int
    name: str
    state: CampaignState
    starts_at: datetime | None


class CampaignSuspects:
    """One per process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def after(self, campaign_id: UUID, limit: int) -> Sequence[Suspect]:
        """The next ones in the order of their ids, left alone for a minute."""
        where = {"after": campaign_id, "age": LEFT_ALONE, "called_off": CALLED_OFF, "limit": limit}
        rows = await execute_alone(self._sessions, _SUSPECTS, where)
        return [Suspect(row.id, row.round, row.name, CampaignState(row.state), row.starts_at) for row in rows]
