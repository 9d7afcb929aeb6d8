"""All faults, and how each is played."""

from tests.chaos import faults
from tests.chaos.campaign_faults import CAMPAIGN_FAULTS, CampaignFault
from tests.chaos.campaign_run import play_campaigns
from tests.chaos.faults import Fault
from tests.chaos.row import Row
from tests.chaos.run import play_events
from tests.chaos.world import World

AnyFault = Fault | CampaignFault
FAULTS: tuple[AnyFault, ...] = (*faults.FAULTS, *CAMPAIGN_FAULTS)


def named(name: str) -> AnyFault:
    return next(fault for fault in FAULTS if fault.name == name)


async def play(world: World, fault: AnyFault, seed: int) -> Row:
    if isinstance(fault, CampaignFault):
        return await play_campaigns(world, fault, seed)
    return await play_events(world, fault, seed)
