"""A campaign's progress as Server-Sent Events: whoever comes sees the present state at once, and nothing is missed.

Each event is the whole state, so that nothing has to be replayed to somebody who was away.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from uuid import UUID

from fastapi import Request
from fastapi.responses import StreamingResponse
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from api.campaign_commands import answer_of, require_campaign
from api.context import ApiContext
from api.metrics import PROGRESS_STREAMS
from api.problems import ProblemError
from api.schemas.campaign_account import ProgressView

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_SECONDS = 15.0  # shorter than the time after which proxies give up
RETRY = b"retry: 2000\n\n"  # milliseconds after which a browser comes again
HEARTBEAT = b": still here\n\n"
_LOOK_SECONDS = 1.0
END = "end"  # the last event, and how its id begins
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # a proxy that gathers would hold events back


async def progress_of(context: ApiContext, campaign_id: UUID) -> ProgressView:
    """The state of this second, shared by all who look."""
    answer = await answer_of(context, await require_campaign(context, campaign_id))
    return ProgressView.of(answer, context.accounts.paces(campaign_id))


def has_ended(progress: ProgressView) -> bool:
    """Nothing is sent any more, and no call is under way."""
    in_flight = progress.account.in_flight if progress.account is not None else 0
    return progress.campaign.state.is_final and not in_flight


async def stream(context: ApiContext, request: Request, campaign_id: UUID) -> StreamingResponse:
    """The answer; its first look is taken before it begins, so that a campaign that is not there is a 404."""
    first = await progress_of(context, campaign_id)
    return StreamingResponse(_events(looks(context, request, first)), media_type=MEDIA_TYPE, headers=HEADERS)


async def looks(context: ApiContext, request: Request, progress: ProgressView) -> AsyncIterator[ProgressView]:
    """One about every second, whether or not something has changed, until the campaign has ended or somebody goes."""
    with PROGRESS_STREAMS.track_inprogress():
        yield progress
        while not has_ended(progress):
            if await _is_over(context, request):
                return
            try:
                progress = await progress_of(context, progress.campaign.id)
            except (DBAPIError, PoolTimeoutError):
                pass  # not ended: a browser that is answered 503 does not come again
            except ProblemError:
                return  # removed
            yield progress


class Clock:
    """Says when somebody has heard nothing for so long that a heartbeat is due."""

    def __init__(self) -> None:
        self._said_at = time.monotonic()

    def said(self) -> None:
        self._said_at = time.monotonic()

    @property
    def is_due(self) -> bool:
        return time.monotonic() - self._said_at >= HEARTBEAT_SECONDS


async def _events(looked: AsyncIterator[ProgressView]) -> AsyncIterator[bytes]:
    yield RETRY
    shown, clock = "", Clock()
    async for progress in looked:
        now = progress.model_dump_json()
        if has_ended(progress):
            yield _event(END, progress, now)
        elif now != shown:
            yield _event("progress", progress, now)
        elif clock.is_due:
            yield HEARTBEAT
        else:
            continue
        shown = now
        clock.said()


async def _is_over(context: ApiContext, request: Request) -> bool:
    """Wait for the next look; whether the client has gone or this process is to stop."""
    with suppress(TimeoutError):
        await asyncio.wait_for(context.closing.wait(), _LOOK_SECONDS)
    return context.closing.is_set() or await request.is_disconnected()


def _event(name: str, progress: ProgressView, data: str) -> bytes:
    at = progress.account.at if progress.account is not None else progress.campaign.created_at
    return f"event: {name}\nid: {name}-{at.timestamp():.3f}\ndata: {data}\n\n".encode()
