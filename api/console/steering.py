"""The buttons of a campaign's page, as the commands that they stand for."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

from pydantic import ValidationError

from api.campaign_commands import Command
from api.problems import INVALID, ProblemError
from api.schemas.campaigns import RateRequest
from notifications.campaigns.body import MAX_RATE
from notifications.campaigns.lifecycle import Asked


class Action(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    RATE = "rate"
    CANCEL = "cancel"


SAID = {
    Action.PAUSE: "It is paused: no call to a provider begins later than two seconds after this answer.",
    Action.RESUME: "It goes on.",
    Action.RATE: "The rate is changed, within two seconds.",
    Action.CANCEL: "It is cancelled: what was not sent stays unsent.",
}


def wanted(action: Action, campaign_id: UUID, asked: Asked, form: Mapping[str, str]) -> Command:
    """What the form asks for.

    Raises:
        ProblemError: the rate is none, or nobody said yes to cancelling.

    """
    if action is Action.RATE:
        per_second = _rate(form.get("per_second", ""))
        return lambda campaigns: campaigns.change_rate(campaign_id, asked, per_second=per_second)
    if action is Action.CANCEL:
        if form.get("confirmed") != "yes":
            raise ProblemError(INVALID, "cancelling cannot be undone: say yes to it with the button below “Cancel…”")
        return lambda campaigns: campaigns.cancel(campaign_id, asked)
    if action is Action.PAUSE:
        return lambda campaigns: campaigns.pause(campaign_id, asked)
    return lambda campaigns: campaigns.resume(campaign_id, asked)


def _rate(typed: str) -> float | None:
    """Nothing typed: no rate."""
    try:
        return RateRequest(per_second=float(typed) if typed.strip() else None).per_second
    except (ValueError, ValidationError):
        message = f"a rate is a number above 0, and at most {MAX_RATE:,g} messages a second; empty for no limit"
        raise ProblemError(INVALID, message) from None
