"""What the Temporal UI says of a campaign."""

import pytest

from activities.campaigns import CampaignView
from notifications.statuses import CampaignState, Channel
from workflows.display import campaign_details


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("sendgrid_http_401", "its provider answered sendgrid_http_401"),
        ("operator", "somebody sent the signal `pause` in the Temporal UI"),
    ],
)
def test_why_a_campaign_is_paused_and_what_to_do(reason: str, said: str) -> None:
    shown = campaign_details(CampaignView(CampaignState.PAUSED, Channel.EMAIL, None, False, reason))
    assert f"**{reason}**" in shown
    assert said in shown
    assert "`resume`" in shown


def test_one_that_somebody_paused_by_a_command_needs_no_reason() -> None:
    shown = campaign_details(CampaignView(CampaignState.PAUSED, Channel.EMAIL, None, False, None))
    assert shown == "Campaign: **paused**"
