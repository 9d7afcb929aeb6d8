"""What may be done to a campaign, and in which state: the row first, under its lock, then whoever waits looks again."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.queries import campaigns as queries
from notifications.statuses import CampaignState
from notifications.tables import Campaign, CampaignCommand, OutboxEntry


class CommandName(StrEnum):
    """What people ask for, and what the workflow reports; `campaign_commands` lists both."""

    CREATE = "create"
    UPDATE = "update"
    LAUNCH = "launch"
    RESCHEDULE = "reschedule"
    PAUSE = "pause"
    RESUME = "resume"
    CHANGE_RATE = "change_rate"
    CANCEL = "cancel"
    RETRY_FAILED = "retry_failed"
    PREPARE = "prepare"
    START = "start"
    COMPLETE = "complete"
    FAIL = "fail"


_S = CampaignState
_UNFINISHED = (_S.DRAFT, _S.SCHEDULED, _S.PREPARING, _S.RUNNING, _S.PAUSED)
_ALLOWED = {
    CommandName.UPDATE: (_S.DRAFT,),
    CommandName.LAUNCH: (_S.DRAFT,),
    CommandName.RESCHEDULE: (_S.SCHEDULED,),
    CommandName.PAUSE: (_S.PREPARING, _S.RUNNING),
    CommandName.RESUME: (_S.PAUSED,),
    CommandName.CHANGE_RATE: _UNFINISHED,
    CommandName.CANCEL: _UNFINISHED,
    CommandName.RETRY_FAILED: (_S.COMPLETED,),
    CommandName.PREPARE: (_S.SCHEDULED,),
    CommandName.START: (_S.PREPARING,),
    CommandName.COMPLETE: (_S.RUNNING,),
    CommandName.FAIL: (_S.SCHEDULED, _S.PREPARING, _S.RUNNING, _S.PAUSED),
}
# Asked for in a state that it leads to, nothing is left to do: the answer is the same as the first time.
_DONE = {
    CommandName.LAUNCH: (_S.SCHEDULED, _S.PREPARING, _S.RUNNING, _S.PAUSED, _S.COMPLETED),
    CommandName.PAUSE: (_S.PAUSED,),
    CommandName.RESUME: (_S.PREPARING, _S.RUNNING),
    CommandName.CANCEL: (_S.CANCELLED,),
    CommandName.PREPARE: (_S.PREPARING, _S.RUNNING, _S.PAUSED),
    CommandName.START: (_S.RUNNING, _S.PAUSED),
    CommandName.COMPLETE: (_S.COMPLETED,),
    CommandName.FAIL: (_S.FAILED,),
}
# Commands whose result is published on `notifications.outcomes`, as `tidings.campaign.<word>`.
_PUBLISHED = {
    CommandName.START: "started",
    CommandName.PAUSE: "paused",
    CommandName.RESUME: "resumed",
    CommandName.COMPLETE: "completed",
    CommandName.CANCEL: "cancelled",
    CommandName.FAIL: "failed",
}
PREPARE_AHEAD = timedelta(minutes=15)  # of the start: the snapshot of millions takes minutes
OUTCOME_SEQ = 0  # in the outbox: of the campaign itself; its messages begin at 1


class UnknownCampaignError(LookupError):
    """There is no campaign with this id."""


class UnknownCategoryError(LookupError):
    """A campaign's category is not published any more; says what to do."""

    def __init__(self, campaign_id: UUID, category: str) -> None:
        super().__init__(
            f"the category {category!r} of the campaign {campaign_id} is not published any more: put it back into "
            "categories.yaml, apply the catalogue, and resume the campaign; or cancel the campaign"
        )


class WrongStateError(ValueError):
    """The campaign's state does not allow the command; says which states do."""

    def __init__(self, command: CommandName, state: CampaignState) -> None:
        wanted = " or ".join(_ALLOWED[command])
        super().__init__(f"the campaign is {state}: {command.replace('_', ' ')} takes one that is {wanted}")
        self.state = state


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for a command, and the key that makes a repeat of the request the same request."""

    by: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The campaign after the command; `changed` is False where there was nothing left to do."""

    campaign: Campaign
    changed: bool


Change = Callable[[Campaign], CampaignState]


def is_news(command: CommandName, state: CampaignState) -> bool:
    """Whether there is something to do; False: a campaign in this state has been where the command leads.

    Raises:
        WrongStateError: the state does not allow the command.

    """
    if state in _DONE.get(command, ()):
        return False
    if state not in _ALLOWED[command]:
        raise WrongStateError(command, state)
    return True


async def carry_out(
    session: AsyncSession,
    campaign_id: UUID,
    command: CommandName,
    asked: Asked,
    change: Change,
    details: dict[str, Any] | None = None,
) -> Answer:
    """Change the campaign inside the caller's transaction, once for each idempotency key; wake its workflow after it.

    Raises:
        UnknownCampaignError: there is none.
        WrongStateError: its state does not allow the command.

    """
    campaign = await queries.lock_campaign(session, campaign_id)
    if campaign is None:
        raise UnknownCampaignError(f"no campaign {campaign_id}")
    state = CampaignState(campaign.state)
    repeated = asked.idempotency_key is not None and await queries.has_command(
        session, campaign_id, command, asked.idempotency_key
    )
    if repeated or not is_news(command, state):
        return Answer(campaign, changed=False)
    campaign.state = change(campaign)
    campaign.control_epoch += 1
    campaign.updated_at = datetime.now(UTC)
    session.add(campaign)
    note(session, campaign, command, asked, from_state=state, details=details)
    return Answer(campaign, changed=True)


def note(
    session: AsyncSession,
    campaign: Campaign,
    command: CommandName,
    asked: Asked,
    *,
    from_state: CampaignState | None = None,
    details: dict[str, Any] | None = None,
) -> None:
    """Keep who asked for what, and tell the world."""
    session.add(
        CampaignCommand(
            campaign_id=campaign.id,
            command=command,
            by=asked.by,
            from_state=from_state or campaign.state,
            to_state=campaign.state,
            details=details or {},
            idempotency_key=asked.idempotency_key,
        )
    )
    if command in _PUBLISHED:
        campaign.version += 1
        session.add(
            OutboxEntry(
                origin_id=campaign.id,
                origin_kind="campaign",
                seq=OUTCOME_SEQ,
                version=campaign.version,
                channel=campaign.channel,
                provider=None,
                status=_PUBLISHED[command],
                reason=campaign.pause_reason,
                attempt=campaign.round,
            )
        )
