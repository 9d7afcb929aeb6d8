"""A campaign's page as it changes: each part of it is sent when it is another one than before."""

from collections.abc import AsyncIterator, Mapping, Sequence

from fastapi import Request
from fastapi.responses import StreamingResponse

from api.console import render
from api.console.plot import plot
from api.console.words import spoken
from api.context import ApiContext
from api.progress_stream import END, HEADERS, HEARTBEAT, MEDIA_TYPE, RETRY, Clock, has_ended, looks
from api.schemas.campaign_account import ProgressView
from api.schemas.campaigns import CommandView
from notifications.queries.campaigns import commands_of

# Where the keyboard stands must not be swapped away each second: forms are no part, but for the one button that turns
# from pause into resume, and that changes with the state alone.
PARTS = ("state", "numbers", "plot", "log", "toggle")


def parts(progress: ProgressView, commands: Sequence[CommandView], form_key: str) -> dict[str, str]:
    """The HTML of each part; `spoken` is plain text."""
    rate = progress.campaign.rate.per_second if progress.campaign.rate is not None else None
    values = {
        "campaign": progress.campaign,
        "account": progress.account,
        "plot": plot(progress.paces, rate),
        "rate": rate,
        "commands": commands,
        "form_key": form_key,
    }
    return {name: render(f"parts/{name}", **values) for name in PARTS} | {"spoken": spoken(progress)}


async def log_of(context: ApiContext, progress: ProgressView) -> list[CommandView]:
    async with context.sessions() as session:
        return [CommandView.of(row) for row in await commands_of(session, progress.campaign.id)]


def stream(context: ApiContext, request: Request, first: ProgressView, form_key: str) -> StreamingResponse:
    return StreamingResponse(_events(context, request, first, form_key), media_type=MEDIA_TYPE, headers=HEADERS)


async def _events(context: ApiContext, request: Request, first: ProgressView, form_key: str) -> AsyncIterator[bytes]:
    yield RETRY
    shown: Mapping[str, str] = {}
    clock = Clock()
    async for progress in looks(context, request, first):
        now = parts(progress, await log_of(context, progress), form_key)
        for name, html in now.items():
            if shown.get(name) != html:
                yield _event(name, html)
                clock.said()
        shown = now
        if has_ended(progress):
            yield _event(END, "nothing more is sent")
        elif clock.is_due:
            yield HEARTBEAT
            clock.said()


def _event(name: str, html: str) -> bytes:
    """An empty part has an empty line of data: without any, browsers pass the event over."""
    lines = "".join(f"data: {line}\n" for line in html.strip().splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()
