"""What each command does to a campaign's row; `lifecycle` decides whether it may."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from notifications.statuses import CampaignState
from notifications.tables import Campaign


def update(campaign: Campaign, *, columns: Mapping[str, Any]) -> CampaignState:
    for name, value in columns.items():
        setattr(campaign, name, value)
    return CampaignState.DRAFT


def launch(campaign: Campaign, *, at: datetime | None, template: tuple[str, int]) -> CampaignState:
    """Now, or at a time; one in the past means now."""
    campaign.launched_at = datetime.now(UTC)
    campaign.template, campaign.template_version = template
    return reschedule(campaign, at=at)


def reschedule(campaign: Campaign, *, at: datetime | None) -> CampaignState:
    now = datetime.now(UTC)
    campaign.starts_at = max(at or now, now).astimezone(UTC)
    campaign.expires_at = campaign.starts_at + campaign.expire_after
    return CampaignState.SCHEDULED


def pause(campaign: Campaign, *, reason: str | None = None) -> CampaignState:
    """`reason` is a code where Tidings paused it by itself."""
    campaign.paused_at = datetime.now(UTC)
    campaign.pause_reason = reason
    return CampaignState.PAUSED


def resume(campaign: Campaign) -> CampaignState:
    """To where it was. Its messages expire when they would have: an offer that is over is not sent late."""
    campaign.paused_at = None
    campaign.pause_reason = None
    return CampaignState.RUNNING if campaign.started_at is not None else CampaignState.PREPARING


def change_rate(campaign: Campaign, *, per_second: float | None) -> CampaignState:
    campaign.per_second = per_second
    return CampaignState(campaign.state)


def cancel(campaign: Campaign) -> CampaignState:
    """From the commit on its pending messages are cancelled."""
    campaign.cancelled_at = campaign.finished_at = datetime.now(UTC)
    return CampaignState.CANCELLED


def next_round(campaign: Campaign) -> CampaignState:
    """Over the same messages, at once, with their time anew."""
    campaign.round += 1
    campaign.prepared_to = campaign.prepared_at = campaign.started_at = campaign.finished_at = None
    reschedule(campaign, at=None)
    return CampaignState.PREPARING


def prepare(_campaign: Campaign) -> CampaignState:
    return CampaignState.PREPARING


def start(campaign: Campaign) -> CampaignState:
    campaign.started_at = campaign.started_at or datetime.now(UTC)
    return CampaignState.RUNNING


def complete(campaign: Campaign) -> CampaignState:
    campaign.finished_at = datetime.now(UTC)
    return CampaignState.COMPLETED


def fail(campaign: Campaign, *, reason: str | None) -> CampaignState:
    campaign.pause_reason = reason
    campaign.finished_at = datetime.now(UTC)
    return CampaignState.FAILED
