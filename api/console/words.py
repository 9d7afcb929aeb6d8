"""What the console's pages say of a campaign: counts with their names, the state and the log in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.schemas.campaigns import CampaignAccount, CampaignAnswer, CampaignView, CommandView
from notifications.explanations import explain_campaign
from notifications.statuses import CampaignState, MessageStatus

_STATUSES = {
    MessageStatus.PENDING: ("waiting", "not tried yet, or to be tried again"),
    MessageStatus.SENDING: ("in flight", "the provider is being called"),
    MessageStatus.SENT: ("sent, not reported on yet", "the provider took it"),
    MessageStatus.DELIVERED: ("delivered", "as the provider reports"),
    MessageStatus.OPENED: ("opened", "as the provider reports"),
    MessageStatus.CLICKED: ("clicked", "as the provider reports"),
    MessageStatus.FAILED: ("failed", "the provider refused it, or its time was over"),
    MessageStatus.BOUNCED: ("bounced", "the address did not take it"),
    MessageStatus.SKIPPED: ("skipped", "on purpose, for the reasons below"),
    MessageStatus.CANCELLED: ("cancelled", "before it was sent"),
    MessageStatus.UNKNOWN: ("unknown", "the provider's answer was lost: it may have arrived"),
}
_ACCEPTED = (MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.OPENED, MessageStatus.CLICKED)
# What the bar shows side by side; what waits is its empty rest.
_BAR = {
    "accepted": _ACCEPTED,
    "flying": (MessageStatus.SENDING,),
    "lost": (MessageStatus.FAILED, MessageStatus.BOUNCED, MessageStatus.UNKNOWN),
    "passed": (MessageStatus.SKIPPED, MessageStatus.CANCELLED),
}
_SKIPPED = {
    "opted_out": "did not agree to this category, or opted out",
    "suppressed": "the address is suppressed: it bounced, complained or was blocked",
    "no_address": "no address for this channel",
    "invalid_address": "the address is not valid",
    "unknown_recipient": "no such recipient any more",
    "expired": "its time was over before it could be sent",
    "capped": "had as many messages as the cap allows",
    "operator": "given up by an operator",
}
_COMMANDS = {
    "create": "wrote the draft",
    "update": "changed the draft",
    "launch": "launched it",
    "reschedule": "moved its start",
    "pause": "paused it",
    "resume": "resumed it",
    "change_rate": "changed the rate",
    "cancel": "cancelled it",
    "retry_failed": "had what failed sent once more",
    "prepare": "began to write down who gets it",
    "start": "began to send",
    "complete": "finished: nothing waits any more",
    "fail": "gave it up",
}
_BY = {"api": "somebody with the API token", "temporal": "Tidings (Temporal)"}
_SPOKEN_STEP = 10  # percent
_WHOLE = 10  # a second; a slower pace is shown with a digit after the point


@dataclass(frozen=True, slots=True)
class Count:
    """One status: `label` in a word, `meaning` in a sentence."""

    status: MessageStatus
    label: str
    meaning: str
    number: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log."""

    at: datetime
    by: str
    what: str


def counts(account: CampaignAccount) -> list[Count]:
    """Every status, in the order of a message's life; they add up to what is targeted."""
    return [Count(status, *said, account.by_status.get(status, 0)) for status, said in _STATUSES.items()]


def bar(account: CampaignAccount) -> list[tuple[str, float, float]]:
    """Its parts: kind, where it begins and how wide it is, in percent."""
    parts, begin = [], 0.0
    for kind, statuses in _BAR.items():
        width = 100 * sum(account.by_status.get(status, 0) for status in statuses) / max(1, account.targeted)
        parts.append((kind, round(begin, 3), round(width, 3)))
        begin += width
    return parts


def skipped(account: CampaignAccount) -> list[tuple[str, int]]:
    """Why, and how many; the most frequent first."""
    found = sorted(account.skipped.items(), key=lambda item: (-item[1], item[0]))
    return [(_SKIPPED.get(reason, reason.replace("_", " ")), number) for reason, number in found]


def answer_counts(account: CampaignAccount) -> list[tuple[str, int]]:
    """What a command is answered with."""

    def together(*statuses: MessageStatus) -> int:
        return sum(account.by_status.get(status, 0) for status in statuses)

    return [
        ("sent", together(*_ACCEPTED)),
        ("skipped", together(MessageStatus.SKIPPED)),
        ("failed or bounced", together(MessageStatus.FAILED, MessageStatus.BOUNCED)),
        ("cancelled", together(MessageStatus.CANCELLED)),
        ("in flight", account.in_flight),
        ("unknown", together(MessageStatus.UNKNOWN)),
        ("still waiting", together(MessageStatus.PENDING)),
    ]


def percent_done(account: CampaignAccount | None) -> int:
    """Of those targeted, how many were seen to their end; what was cancelled was not."""
    if account is None or not account.targeted:
        return 0
    undone = (MessageStatus.PENDING, MessageStatus.CANCELLED)
    left = sum(account.by_status.get(status, 0) for status in undone) + account.in_flight
    return 100 * (account.targeted - left) // account.targeted


def spoken(answer: CampaignAnswer) -> str:
    """For those who listen to the page: changes with the state and each tenth, not with each number."""
    if answer.account is None:
        return f"The campaign is {answer.campaign.state}."
    tenth = percent_done(answer.account) // _SPOKEN_STEP * _SPOKEN_STEP
    lost = answer.account.by_status.get(MessageStatus.FAILED, 0)
    return f"The campaign is {answer.campaign.state}, {tenth} % done{', some failed' if lost else ''}."


def why(campaign: CampaignView) -> str | None:
    """Why it paused itself or was given up, and what to do."""
    if campaign.pause_reason is None:
        return None
    said = explain_campaign(campaign.pause_reason)
    if campaign.state is CampaignState.FAILED:
        return f"Tidings gave it up: {said}."
    return f"It is paused: {said}. Have the cause mended, then press Resume; or cancel what is not sent."


def pace(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= _WHOLE else f"{per_second:,.1f}"


def rate(per_second: float | None) -> str:
    return "as fast as the providers take it" if per_second is None else f"at most {per_second:,g} a second"


def audience(wanted: Mapping[str, Any]) -> str:
    """Its kind alone: the page names nobody."""
    if "recipients" in wanted:
        return f"{len(wanted['recipients']):,} that were named"
    return {"all": "everybody", "filter": "recipients by a filter", "list": "an uploaded list"}[next(iter(wanted))]


def who(by: str) -> str:
    return _BY.get(by, by)


def log(commands: Sequence[CommandView]) -> list[Entry]:
    """Newest first."""
    return [Entry(each.at, who(each.by), _what(each)) for each in reversed(commands)]


def _what(command: CommandView) -> str:
    said = _COMMANDS.get(command.command, command.command.replace("_", " "))
    if command.command == "change_rate":
        return f"{said}: {rate(command.details.get('per_second'))}"
    if command.command in {"launch", "reschedule"} and command.details.get("at"):
        return f"{said}, for {clock(datetime.fromisoformat(command.details['at']))}"
    return said


def clock(at: datetime | None) -> str:
    return "" if at is None else f"{at.astimezone(UTC):%-d %b %Y, %H:%M:%S} UTC"
