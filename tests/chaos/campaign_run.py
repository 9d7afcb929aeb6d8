"""One run with campaigns: launch, fault, end, account."""

import asyncio
from datetime import UTC, datetime
from random import Random

from tests.chaos.campaign_faults import CampaignFault
from tests.chaos.campaign_load import Marketer
from tests.chaos.campaign_oracle import settle_campaigns
from tests.chaos.row import PATIENCE, Row
from tests.chaos.world import World

_OVER = """
SELECT id, finished_at FROM campaigns WHERE id = ANY (%s) AND state IN ('completed', 'cancelled', 'failed')
    AND NOT EXISTS (SELECT FROM messages m WHERE m.origin_id = id AND m.status = 'sending')
"""


async def play_campaigns(world: World, fault: CampaignFault, seed: int) -> Row:
    """Strike two campaigns once, at a random moment that the seed decides, and wait until both have ended."""
    random = Random(f"{fault.name}-{seed}")  # noqa: S311 - chance that can be repeated, not secrecy
    began = datetime.now(UTC)
    async with world.second("bulk") as twin, fault.stage(world):
        run = f"{fault.name}/{seed}/{began:%H%M%S}"
        marketer = Marketer(world=world, twin=twin, run=run, per_second=fault.per_second)
        async with asyncio.TaskGroup() as launching:
            launching.create_task(fault.launch(marketer))
            await marketer.until(lambda: fault.moment(marketer))
            await asyncio.sleep(random.uniform(0, 1))
            struck = datetime.now(UTC)
            await fault.strike(marketer, random)
            back = datetime.now(UTC)
        ended = await _until_over(marketer)
    account = await settle_campaigns(marketer, (struck, back), began, ends=fault.ends)
    return Row(
        fault=fault.name,
        seed=seed,
        account=account,
        recovered=(ended - back).total_seconds() if ended else None,
        bound=fault.recovery,
        last=str(marketer.ids[-1]),
        seconds=(datetime.now(UTC) - began).total_seconds(),
    )


async def _until_over(marketer: Marketer) -> datetime | None:
    """When both had ended and no call was open; None if that took too long."""

    async def are_over() -> bool:
        return len(await marketer.rows(_OVER)) == len(marketer.ids)

    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await marketer.until(are_over)
    except TimeoutError:
        return None
    return datetime.now(UTC)
