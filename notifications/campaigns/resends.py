"""One `unknown` message of a campaign sent once more, on somebody's word that a second copy is acceptable."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from notifications.database import Sessions, execute_alone
from notifications.queries import campaign_resends as sql
from notifications.statuses import CampaignState, Channel, MessageStatus, NotificationType

LEFT_ALONE = timedelta(minutes=1)  # after it was freed: whoever freed it starts the workflow within seconds


class UnknownMessageError(LookupError):
    """The campaign has no message of this number."""


@dataclass(frozen=True)
class ResendState:
    """The message as the ledger has it now; nothing personal is in it. `resend_round`: the last that somebody freed."""

    type: NotificationType
    channel: Channel
    status: MessageStatus
    round: int
    resend_round: int | None
    expires_at: datetime
    campaign_state: CampaignState


@dataclass(frozen=True, slots=True)
class NotedResend:
    """A campaign that noted a resend; `seq` None: no message of it is freed and open any more."""

    campaign_id: UUID
    noted_at: datetime
    seq: int | None
    round: int | None


class Resends:
    """One per process."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def free(self, campaign_id: UUID, seq: int) -> int | None:
        """The round that it is sent in. None: it is not unknown, has expired, or its campaign has not completed."""
        rows = await execute_alone(self._sessions, sql.FREE, {"campaign": campaign_id, "seq": seq})
        return int(rows[0].round) if rows else None

    async def look(self, campaign_id: UUID, seq: int) -> ResendState:
        """As it is now.

        Raises:
            UnknownMessageError: there is none.

        """
        rows = await execute_alone(self._sessions, sql.LOOK, {"campaign": campaign_id, "seq": seq})
        if not rows:
            raise UnknownMessageError(f"no message {seq} of a campaign {campaign_id}")
        row = rows[0]
        return ResendState(
            NotificationType(row.type),
            Channel(row.channel),
            MessageStatus(row.status),
            row.round,
            row.resend_round,
            row.expires_at,
            CampaignState(row.campaign_state),
        )

    async def expire(self, campaign_id: UUID, seq: int) -> None:
        """End it where its time is over: as `failed`, or `unknown` where a call was lost once more."""
        await execute_alone(self._sessions, sql.EXPIRE, {"campaign": campaign_id, "seq": seq})

    async def cancel(self, campaign_id: UUID, seq: int) -> None:
        """Unless its call has begun."""
        await execute_alone(self._sessions, sql.CANCEL, {"campaign": campaign_id, "seq": seq})

    async def settle(self, campaign_id: UUID, seq: int, status: MessageStatus) -> bool:
        """Take somebody's word for what became of an unknown message; False: it is not unknown (any more)."""
        where = {"campaign": campaign_id, "seq": seq, "status": status}
        return bool(await execute_alone(self._sessions, sql.SETTLE, where))

    async def noted(self, limit: int) -> Sequence[NotedResend]:
        """What was freed more than a minute ago, of `limit` campaigns."""
        rows = await execute_alone(self._sessions, sql.NOTED, {"limit": limit, "age": LEFT_ALONE})
        return [NotedResend(row.id, row.resend_at, row.seq, row.round) for row in rows]

    async def forget(self, resend: NotedResend) -> None:
        """Nothing of the campaign is open; what was freed meanwhile stays noted."""
        where = {"campaign": resend.campaign_id, "noted_at": resend.noted_at}
        await execute_alone(self._sessions, sql.FORGET, where)
