"""The demo from the first server to the last line of the report."""

import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from devstack.applications import APPLICATION_NAMES
from devstack.demo import report
from devstack.demo.campaign import RECIPIENTS, CampaignEnding, play_campaign
from devstack.demo.story import Ending, play
from devstack.demo.world import open_world
from devstack.state import STATE, read_variables
from devstack.supervisor import SERVER_NAMES, StackOptions, running_stack

REPORT = "demo.json"


@dataclass(frozen=True)
class Performance:
    endings: list[Ending]
    campaign: CampaignEnding

    @property
    def problems(self) -> list[str]:
        """What was not as expected, with the name of its scene."""
        found = [f"{ending.scene.name}: {problem}" for ending in self.endings for problem in ending.problems]
        return found + [f"campaign: {problem}" for problem in self.campaign.problems]


async def perform(console: Console, *, stays: bool, recipients: int = RECIPIENTS, state: Path = STATE) -> Performance:
    """Start the stack, play the scenes, then a campaign to so many recipients; report.

    With `stays` it keeps running until it is told to stop.

    Raises:
        StackError: the stack does not start, or a server ended.
        StackInterruptedError: a signal came while it started.

    """
    options = StackOptions(state=state, quiet=(*SERVER_NAMES, *APPLICATION_NAMES, "catalogue"))
    async with running_stack(options, console) as stack:
        stack.print_links()
        begun = time.monotonic()

        def tell(scene: str, news: str) -> None:
            line = Text.assemble((f"{time.monotonic() - begun:6.1f} s ", "dim"), (f"{scene:<19}", "bold"), news)
            console.print(line, soft_wrap=True)

        async with open_world(stack.endpoints, read_variables(state)) as world:
            endings = await play(world, tell)
            report.show(console, endings)
            campaign = await play_campaign(stack, world, tell, recipients=recipients)
        report.show_campaign(console, campaign)
        report.write(state / REPORT, report.document(endings, campaign))
        if stays:
            report.show_what_to_try(console, stack.endpoints)
            await stack.wait()
    return Performance(endings, campaign)
