"""How a campaign's workflows ask Postgres and wait: a local activity while that is quick, an ordinary one after."""

from datetime import timedelta

from temporalio import workflow

MOST_EVENTS = 1_200  # of a history before it goes on as a new one
LOOK_AGAIN = timedelta(seconds=30)  # a signal may be lost with whoever should have sent it


def is_long() -> bool:
    """Whether this run should go on as a new one, once nothing of it is under way."""
    info = workflow.info()
    return info.is_continue_as_new_suggested() or info.get_current_history_length() >= MOST_EVENTS


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
