"""What the Temporal UI shows of a notification: searchable, and in words."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

with workflow.unsafe.imports_passed_through():
    from activities.campaigns import CampaignView
    from activities.temporal import CHANNEL, DELIVERY_STATUS, PROVIDER
    from notifications.explanations import explain_campaign, explain_stuck
    from notifications.plans import MessageState
    from notifications.statuses import CampaignState


def show(status: str, messages: Sequence[MessageState], stuck: Sequence[MessageState]) -> None:
    """Say where it stands; of the stuck messages alone where there are some."""
    updates: list[SearchAttributeUpdate[Any]] = [DELIVERY_STATUS.value_set(str(status))]
    updates.append(CHANNEL.value_set(sorted({str(message.channel) for message in stuck or messages})))
    provider = next((message.provider for message in stuck if message.provider), None)
    if provider is not None:
        updates.append(PROVIDER.value_set(provider))
    workflow.upsert_search_attributes(updates)
    workflow.set_current_details(stuck_details(stuck) if stuck else f"Delivery status: **{status}**")


def show_receipt_wait(messages: Sequence[MessageState], step: int, until: datetime) -> None:
    channel = next(message.channel for message in messages if message.step == step)
    workflow.set_current_details(
        f"Waits until {until:%Y-%m-%d %H:%M:%S} UTC for **{channel}** to be reported as delivered; "
        "else the next channel is tried."
    )


def stuck_details(stuck: Sequence[MessageState]) -> str:
    """Markdown for the Temporal UI: what is wrong and what to do."""
    lines = ["## A delivery is stuck", ""]
    for message in stuck:
        words = explain_stuck(message.stuck_reason or "", message.provider)
        lines.append(f"- **{message.channel}** (message {message.seq}): {words}")
    lines.append("")
    lines.append(_ADVICE)
    return "\n".join(lines)


_ADVICE = (
    'Mend the cause, then *Send a Signal*: `retry` (all, or input `"email"`), `reroute` (input `"sms"`) or `skip`. '
    "Without a decision it ends as failed when it expires."
)


def campaign_details(view: CampaignView) -> str:
    """Markdown for the Temporal UI: where a campaign stands, and what to do where it paused itself."""
    if view.state is CampaignState.PAUSED and view.pause_reason is not None:
        return (
            f"## The campaign is paused: **{view.pause_reason}**\n\n"
            f"The reason: {explain_campaign(view.pause_reason)}.\n\n"
            "Mend the cause, then *Send a Signal*: `resume` to go on, `cancel` to give up what is not sent."
        )
    return f"Campaign: **{view.state}**"
