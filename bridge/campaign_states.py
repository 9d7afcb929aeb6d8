"""How many campaigns are in each state: by every bridge, so that one that paused itself is seen whoever runs."""

import asyncio

from bridge.metrics import CAMPAIGNS
from bridge.readiness import Patience
from notifications.database import Sessions
from notifications.queries.campaigns import count_under_way
from notifications.statuses import CampaignState, Channel

REFRESH_SECONDS = 10.0
_ENDED = frozenset(state for state in CampaignState if state.is_final)
_OPEN = tuple(state for state in CampaignState if not state.is_final)


class CampaignStates:
    """`every`: seconds from one count to the next."""

    def __init__(self, sessions: Sessions, *, every: float = REFRESH_SECONDS) -> None:
        self._sessions = sessions
        self._every = every

    async def refresh(self) -> None:
        """Count, then show it in one step, so that no reader of the metrics sees half of it."""
        async with self._sessions() as session:
            counted = await count_under_way(session, _ENDED)
        CAMPAIGNS.clear()
        for each in _OPEN:
            for one in Channel:
                CAMPAIGNS.labels(each, one, "").set(0)
        for state, channel, reason, count in counted:
            CAMPAIGNS.labels(state, channel, reason or "").set(count)

    async def keep_fresh(self, patience: Patience) -> None:
        """Count, and again after each break, until cancelled."""
        while True:
            await patience.until_done("campaigns", self.refresh)
            await asyncio.sleep(self._every)
