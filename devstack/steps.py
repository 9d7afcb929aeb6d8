"""Do steps as early as what they need allows, independent ones at the same time; keep when each began and ended."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    name: str
    needs: tuple[str, ...]
    run: Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Timing:
    """In seconds since the first step began."""

    name: str
    began: float
    took: float


async def run_steps(steps: Sequence[Step], on_done: Callable[[Timing], None]) -> list[Timing]:
    """Run them all, telling of each that is done; the first one that fails ends the rest, and its error is raised."""
    begin = time.monotonic()
    done = {step.name: asyncio.Event() for step in steps}
    timings: list[Timing] = []

    async def run(step: Step) -> None:
        for need in step.needs:
            await done[need].wait()
        began = time.monotonic()
        await step.run()
        timings.append(Timing(step.name, began - begin, time.monotonic() - began))
        on_done(timings[-1])
        done[step.name].set()

    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(run(step))
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return timings
