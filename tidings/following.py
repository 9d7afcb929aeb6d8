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
    """A stuck one is not final: an operator may still deliver it. A campaign is once nothing more of it is sent."""
    if answer.notification is not None:
        return answer.notification.status.is_final
    if answer.campaign is not None:
        return answer.campaign.state.is_final
    return answer.state is EventState.REJECTED


def state_of(answer: EventAnswer) -> str:
    """The status of its notification, the state of its campaign, or whether it was seen at all."""
    if answer.notification is not None:
        return answer.notification.status.value
    return answer.campaign.state.value if answer.campaign is not None else answer.state.value


async def follow(
    sessions: Sessions,
    links: Links,
    source: str,
    event_id: str,
    *,
    seconds: float,
    changed: Callable[[EventAnswer], None] = lambda _: None,
) -> EventAnswer:
    """The last answer: a final one, or what was known after `seconds`. `changed` hears of each new one."""
    deadline, told = time.monotonic() + seconds, ""
    while True:
        async with sessions() as session:
            answer = await explain_event(session, source, event_id, links)
        if (state := state_of(answer)) != told:
            told = state
            changed(answer)
        if is_final(answer) or time.monotonic() >= deadline:
            return answer
        await asyncio.sleep(POLL_SECONDS)
