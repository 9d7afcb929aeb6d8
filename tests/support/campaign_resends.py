"""A message of a campaign that is sent once more: the ledger in memory behind the real activities' names."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from temporalio import activity

from activities.campaign_resends import CampaignMessage
from notifications.campaigns.resends import ResendState
from notifications.statuses import CampaignState, NotificationType
from tests.support.workflows import FakeLedger


class FakeResendActivities:
    """`ledgers` are by the campaign's id; what sends is that of single messages."""

    def __init__(self, ledgers: Mapping[UUID, FakeLedger]) -> None:
        self._ledgers = ledgers

    @property
    def steering(self) -> list[Callable[..., Any]]:
        return [self.look_at_resend, self.expire_resend, self.cancel_resend]

    @activity.defn(name="look_at_resend")
    async def look_at_resend(self, message: CampaignMessage) -> ResendState:
        ledger = self._ledgers[message.campaign_id]
        row = ledger.message(message.seq)
        return ResendState(
            type=NotificationType.PROMOTIONAL,
            channel=row.channel,
            status=row.status,
            round=row.round,
            resend_round=row.round,
            expires_at=ledger.state.expires_at,
            campaign_state=CampaignState.COMPLETED,
        )

    @activity.defn(name="expire_resend")
    async def expire_resend(self, message: CampaignMessage) -> ResendState:
        await self._ledgers[message.campaign_id].expire()
        return await self.look_at_resend(message)

    @activity.defn(name="cancel_resend")
    async def cancel_resend(self, message: CampaignMessage) -> None:
        await self._ledgers[message.campaign_id].withdraw()
