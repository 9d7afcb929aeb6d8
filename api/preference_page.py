"""What one person gets, category by category and channel by channel, as a form."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi.responses import HTMLResponse

from api.context import ApiContext
from api.pages import page
from notifications.catalogue.definition import ConsentDefault
from notifications.database import transaction
from notifications.queries import recipients
from notifications.queries.unsubscribe import choose
from notifications.statuses import Channel
from notifications.unsubscribe import Subject

SOURCE = "preference page"
CHANNELS = {
    Channel.EMAIL: "e-mails",
    Channel.PUSH: "push notifications",
    Channel.SMS: "text messages (SMS)",
    Channel.WHATSAPP: "WhatsApp messages",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One checkbox."""

    name: str  # the channel, a dot and the category
    label: str
    opted_in: bool

    @property
    def shown(self) -> str:
        """Goes with the form, so that only what the person changed is written."""
        return f"{'on' if self.opted_in else 'off'}.{self.name}"


@dataclass(frozen=True, slots=True)
class Group:
    """The checkboxes of one category."""

    title: str
    choices: Sequence[Choice]


async def show(context: ApiContext, subject: Subject, *, changed: int | None = None) -> HTMLResponse:
    """The page; `changed` is how many choices were just kept, None if none were sent."""
    categories = sorted((await context.catalogue.current()).categories.values(), key=lambda item: item.title)
    async with context.sessions() as session:
        rows = await recipients.list_preferences(session, subject.recipient_id)
    kept = {(row.category, row.channel): row.opted_in for row in rows}
    groups = [
        Group(
            category.title,
            [
                Choice(
                    f"{channel}.{category.name}",
                    label[0].upper() + label[1:],
                    kept.get((category.name, channel), category.default is ConsentDefault.OPTED_IN),
                )
                for channel, label in CHANNELS.items()
            ],
        )
        for category in categories
        if category.default is not ConsentDefault.REQUIRED
    ]
    required = [category.title for category in categories if category.default is ConsentDefault.REQUIRED]
    return page("preferences", groups=groups, required=required, changed=changed)


async def keep(context: ApiContext, subject: Subject, form: Sequence[tuple[str, str]]) -> int:
    """Write what differs from what the page showed; returns how many choices changed.

    A name that is no category of the catalogue, or none that can be chosen, is passed over: the catalogue may have
    changed since the page was opened.
    """
    published = await context.catalogue.current()
    wanted = {value for name, value in form if name == "wanted"}
    shown = {choice: before for before, _, choice in (value.partition(".") for name, value in form if name == "shown")}
    changed = 0
    async with transaction(context.sessions) as session:
        for choice, before in sorted(shown.items()):
            channel, _, name = choice.partition(".")
            category = published.categories.get(name)
            opted_in = choice in wanted
            if category is None or category.default is ConsentDefault.REQUIRED or opted_in is (before == "on"):
                continue
            if channel in CHANNELS:
                about = Subject(subject.recipient_id, name, Channel(channel))
                changed += await choose(session, about, opted_in=opted_in, source=SOURCE)
    return changed
