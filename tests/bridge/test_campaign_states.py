"""Campaigns by state, as every bridge shows them."""

import asyncio

from prometheus_client import REGISTRY

from bridge.campaign_states import CampaignStates
from bridge.readiness import Patience, Readiness
from notifications.database import Sessions
from notifications.statuses import CampaignState
from tests.support.campaigns import change_campaign, insert_campaign
from tests.support.events import unique
from tests.support.programs import eventually


def _shown(state: str, reason: str = "") -> float | None:
    return REGISTRY.get_sample_value("tidings_campaigns", {"state": state, "channel": "email", "reason": reason})


async def test_one_that_paused_itself_is_shown_with_its_reason_until_it_goes_on(sessions: Sessions) -> None:
    states, reason = CampaignStates(sessions), unique("smtp")
    await states.refresh()
    before = _shown("running")
    assert before is not None
    campaign = await insert_campaign(sessions)
    await states.refresh()
    assert _shown("running") == before + 1
    await change_campaign(sessions, campaign, state=CampaignState.PAUSED, pause_reason=reason)
    await states.refresh()
    assert (_shown("running"), _shown("paused", reason)) == (before, 1)
    await change_campaign(sessions, campaign, state=CampaignState.COMPLETED)
    await states.refresh()
    assert (_shown("running"), _shown("paused", reason), _shown("completed", reason)) == (before, None, None)


async def test_it_is_counted_again_and_again(sessions: Sessions) -> None:
    states, reason = CampaignStates(sessions, every=0.1), unique("smtp")
    counting = asyncio.create_task(states.keep_fresh(Patience(Readiness(), asyncio.Event(), owner="test")))
    await insert_campaign(sessions, state=CampaignState.PAUSED, pause_reason=reason)
    await eventually(lambda: _shown("paused", reason) == 1)
    counting.cancel()
    await asyncio.gather(counting, return_exceptions=True)
