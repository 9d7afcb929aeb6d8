"""Retry what failed: the next round of a campaign, over the same messages."""

from datetime import UTC, datetime
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.campaigns.snapshot import RANGE_SIZE, Block
from notifications.database import Sessions, execute_prepared, transaction
from notifications.queries import rounds as sql
from notifications.queries.campaigns import lock_campaign
from notifications.statuses import CampaignState

_BLOCK = 8 * RANGE_SIZE  # numbers that one transaction looks at


class NothingFailedError(ValueError):
    """No message of the campaign has failed."""

    def __init__(self) -> None:
        super().__init__("no message of the campaign has failed: there is nothing to send again")


async def require_failures(session: AsyncSession, campaign_id: UUID) -> None:
    """Raise NothingFailedError where a next round would have nothing to do."""
    ((found,),) = await execute_prepared(session, sql.HAS_FAILED, {"id": campaign_id})
    if not found:
        raise NothingFailedError


class Rounds:
    """One per process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def reopen_block(self, campaign_id: UUID) -> Block:
        """Have the next of the failed messages wait again; safe to repeat, and to be killed at any point."""
        async with transaction(self._sessions) as session:
            campaign = await lock_campaign(session, campaign_id)
            if campaign is None or campaign.prepared_at is not None or CampaignState(campaign.state).is_final:
                return Block(0, done=True)
            after = int(campaign.prepared_to or 0)
            parameters = {
                "id": campaign_id,
                "round": campaign.round,
                "after": after,
                "upto": after + _BLOCK,
                "starts_at": campaign.starts_at,
                "expires_at": campaign.expires_at,
            }
            ((rows, is_last),) = await execute_prepared(session, sql.REOPEN, parameters)
            campaign.prepared_to = str(after + _BLOCK)
            if is_last:
                campaign.prepared_at = datetime.now(UTC)
            session.add(campaign)
        return Block(rows, done=is_last)
