import asyncio

import pytest

from devstack.links import timings_table
from devstack.processes import StackError
from devstack.steps import Step, Timing, run_steps


async def test_a_step_waits_for_what_it_needs_and_for_nothing_else() -> None:
    order: list[str] = []
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()
        order.append("slow")

    async def open_gate() -> None:
        order.append("quick")
        gate.set()

    async def last() -> None:
        order.append("last")

    done: list[Timing] = []
    steps = [Step("last", ("slow", "quick"), last), Step("slow", (), wait), Step("quick", (), open_gate)]
    timings = await run_steps(steps, done.append)
    assert order == ["quick", "slow", "last"]
    assert [timing.name for timing in timings] == order == [timing.name for timing in done]
    assert timings_table(timings).row_count == 3


async def test_the_first_failure_ends_the_others_and_is_the_one_that_is_raised() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("forever")

    async def fail() -> None:
        await asyncio.sleep(0)
        raise StackError("kafka did not answer")

    with pytest.raises(StackError, match="kafka did not answer"):
        await run_steps([Step("forever", (), forever), Step("fail", (), fail)], lambda _timing: None)
    assert ended == ["forever"]
