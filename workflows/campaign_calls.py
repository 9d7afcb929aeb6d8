"""How a campaign's workflows wait, and go on as a new run."""

from datetime import timedelta
from typing import Any

from temporalio import workflow

MOST_EVENTS = 1_200  # of a history before it goes on as a new one
LOOK_AGAIN = timedelta(seconds=30)  # a signal may be lost with whoever should have sent it


def is_long() -> bool:
    """Whether this run should go on as a new one, once nothing of it is under way."""
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.get_current_history_length() >= MOST_EVENTS


async def go_on(argument: Any) -> None:
    """As a new run, once what people asked for is written down: a handler under way would be cut off."""
    await workflow.wait_condition(workflow.all_handlers_finished)
    workflow.continue_as_new(argument)


class Bell:
    """Wakes whoever waits when a signal says "look again"; one that rings before the wait counts."""

    def __init__(self) -> None:
        self._rings = 0
        self._heard = 0

    def ring(self) -> None:
        self._rings += 1

    def listen(self) -> None:
        """From here on a ring is news: call it before reading the state."""
        self._heard = self._rings

    async def wait(self, limit: timedelta, *, summary: str) -> None:
        """Until it rings, or the limit is over."""
        heard = self._heard
        try:
            await workflow.wait_condition(lambda: self._rings != heard, timeout=limit, timeout_summary=summary)
        except TimeoutError:
            return

    async def ringing(self) -> None:
        """Until it rings."""
        heard = self._heard
        await workflow.wait_condition(lambda: self._rings != heard)
