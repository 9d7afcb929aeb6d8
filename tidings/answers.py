"""What became of an event, on a terminal."""

from rich.console import Console
from rich.text import Text

from api.schemas.campaigns import CampaignView
from api.schemas.events import EventAnswer, EventState, RejectedView
from api.schemas.notifications import AttemptView, MessageView, NotificationDetail
from notifications.statuses import ACCEPTED, MessageStatus

_STYLES = {EventState.ACCEPTED: "green", EventState.REJECTED: "red", EventState.NOT_SEEN: "yellow"}
_TIME = "%Y-%m-%d %H:%M:%S"


def console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def show_answer(out: Console, answer: EventAnswer) -> None:
    """The same as GET /v1/events, for a person."""
    state = Text(answer.state.value.replace("_", " "), style=f"bold {_STYLES[answer.state]}")
    out.print(Text.assemble(state, f"  event {answer.id} from {answer.source}"))
    out.print(Text(answer.explanation))
    if answer.notification is not None:
        show_notification(out, answer.notification)
    if answer.campaign is not None:
        _show_campaign(out, answer.campaign)
    for rejection in answer.rejections:
        _show_rejection(out, rejection)


def show_notification(out: Console, notification: NotificationDetail) -> None:
    facts = {
        "notification": str(notification.id),
        "definition": f"{notification.definition}, {notification.type}, category {notification.category}",
        "status": notification.status.value,
        "received": notification.received_at.strftime(_TIME),
        "due": notification.due_at.strftime(_TIME) if notification.due_at is not None else "not planned yet",
        "expires": notification.expires_at.strftime(_TIME)
        if notification.expires_at is not None
        else "not planned yet",
        "workflow": notification.links.workflow,
        "API": notification.links.self,
    }
    out.print()
    for name, value in facts.items():
        out.print(Text(f"{name:<14}{value}"))
    for message in notification.messages:
        _show_message(out, message)


def _show_campaign(out: Console, campaign: CampaignView) -> None:
    out.print()
    out.print(Text(f"campaign      {campaign.id}  {campaign.name}"))
    out.print(Text(f"state         {campaign.state}, round {campaign.round}"))


def _style(message: MessageView) -> str:
    if message.status in ACCEPTED:
        return "green"
    if message.stuck_reason is not None or message.status in {MessageStatus.FAILED, MessageStatus.BOUNCED}:
        return "red"
    return "yellow"


def _show_message(out: Console, message: MessageView) -> None:
    status = "stuck" if message.stuck_reason is not None else message.status.value
    to = f" to {message.address}" if message.address else ""
    to += f" (device {message.device_id})" if message.device_id else ""
    out.print()
    out.print(Text.assemble(f"{message.seq}. {message.channel}{to}  ", (status, f"bold {_style(message)}")))
    out.print(Text(f"   {message.explanation}"))
    for attempt in message.attempts:
        out.print(Text(f"   {_attempt_line(attempt)}", style="dim"))


def _attempt_line(attempt: AttemptView) -> str:
    at = f" at {attempt.started_at.strftime(_TIME)}" if attempt.started_at is not None else ""
    code = f" ({attempt.code})" if attempt.code else ""
    provider = f" {attempt.provider}" if attempt.provider else ""
    return f"try {attempt.attempt}{provider}{at}: {attempt.outcome}{code}. {attempt.explanation}"


def _show_rejection(out: Console, rejection: RejectedView) -> None:
    where = f"{rejection.topic}[{rejection.partition}] at {rejection.offset}"
    out.print()
    out.print(Text.assemble(("rejected", "bold red"), f" {rejection.rejected_at.strftime(_TIME)} from {where}"))
    out.print(Text(f"   {rejection.reason}: {rejection.detail}"))
