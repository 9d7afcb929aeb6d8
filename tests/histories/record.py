"""Record the history of every turn: `python -m tests.histories.record [TURN...]`.

A history that is committed stands for workflows that run in production: keep those of released versions when you
record new ones (`done.json` becomes `done.v1.json`), since the replay test takes every file of this folder.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.histories.turns import TURNS
from tests.support.servers import running_time_skipping
from tests.support.workflow_world import running_world

FOLDER = Path(__file__).parent
# Names of machines and files, which a replay does not read.
_PRIVATE = {"identity", "stackTrace", "buildId", "binaryChecksum"}


def cleaned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: cleaned(item) for name, item in value.items() if name not in _PRIVATE}
    return [cleaned(item) for item in value] if isinstance(value, list) else value


async def main(names: list[str]) -> None:
    """Each on a server of its own: what one leaves behind would hold the clock of the next."""
    for name in names or TURNS:
        async with running_time_skipping() as environment, running_world(environment) as world:
            handle = await TURNS[name](world)
            result = await handle.result()
            history = cleaned(json.loads((await handle.fetch_history()).to_json()))
        path = FOLDER / f"{name}.json"
        path.write_text(json.dumps({"workflowId": handle.id, **history}, indent=1) + "\n")
        sys.stdout.write(f"{path.name}: {len(history['events'])} events, {result}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
