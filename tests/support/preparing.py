"""A process that prepares a campaign, to be killed: `python -m tests.support.preparing URL CAMPAIGN BLOCK`."""

import asyncio
import sys
from uuid import UUID

from pydantic import SecretStr

from notifications.campaigns.snapshot import Snapshot
from notifications.database import create_engine, create_sessions
from tests.support.planning import HASH_KEY


async def main(url: str, campaign: str, block: str) -> None:
    engine = create_engine(SecretStr(url))
    snapshot = Snapshot(create_sessions(engine), HASH_KEY, block=int(block))
    while not (await snapshot.prepare_block(UUID(campaign))).done:
        pass
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
