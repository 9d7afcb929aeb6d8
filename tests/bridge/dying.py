"""A bridge whose process ends without a word after a given step; run as `python -m tests.bridge.dying STEP ...`."""

import asyncio
import os
import sys

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bridge.main import run
from notifications.settings import Settings
from tests.bridge.running import EXTRA_TOPIC, HASH_KEY

DIED = 17


async def main(step: str, bootstrap: str, database_url: str, temporal: str) -> None:
    async def die(reached: str) -> None:
        if reached == step:
            os._exit(DIED)

    settings = Settings(
        database_url=SecretStr(database_url), hash_key=SecretStr(HASH_KEY), topics=(EXTRA_TOPIC,), max_untried=1_000_000
    )
    await run(
        settings,
        {"bootstrap.servers": bootstrap, "session.timeout.ms": 3000, "heartbeat.interval.ms": 300},
        stopping=asyncio.Event(),
        temporal=lambda: Client.connect(temporal, data_converter=pydantic_data_converter),
        on_step=die,
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
