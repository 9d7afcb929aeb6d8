"""Follow one event until nothing more happens to it."""

import asyncio
import time
from collections.abc import Callable

from api.event_intake import explain_event
from api.links import Links
from api.schemas.events import EventAnswer, EventState
from notifications.database import Sessions

POLL_SECONDS = 0.3


def is_final(answer: EventAnswer) -> bool:
    """A stuck one is not final: an operator may still deliver it."""
    if answer.notification is not None:
        return answer.notification.status.is_final
    return answer.state is EventState.REJECTED


async def follow(
    sessions: Sessions,
    links: Links,
    source: str,
    event_id: str,
    *,
    seconds: float,
    changed: Callable[[EventAnswer], None] = lambda _: None,
) -> EventAnswer:
    """The last answer: a final one, or what was known after `seconds`. `changed` hears of each new status."""
    deadline, told = time.monotonic() + seconds, ""
    while True:
        async with sessions() as session:
            answer = await explain_event(session, source, event_id, links)
        state = answer.notification.status.value if answer.notification is not None else answer.state.value
        if state != told:
            told = state
            changed(answer)
        if is_final(answer) or time.monotonic() >= deadline:
            return answer
        await asyncio.sleep(POLL_SECONDS)
