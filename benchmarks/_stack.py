"""A dev stack of a benchmark's own: real servers and processes, on an empty state folder that goes at the end."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from rich.console import Console

from bridge.kafka_settings import kafka_config
from bridge.producer import EventProducer
from devstack.applications import APPLICATION_NAMES
from devstack.recipients import RECIPIENTS
from devstack.supervisor import SERVER_NAMES, Stack, StackOptions, running_stack
from devstack.variables import given_servers
from notifications.events.topics import topic_for
from notifications.ids import event_uuid, message_id
from notifications.statuses import NotificationType

SOURCE = "https://acme.example/benchmarks"
TOPIC = topic_for(NotificationType.TRANSACTIONAL)


@asynccontextmanager
async def benchmark_stack() -> AsyncIterator[Stack]:
    """Everything that `make dev` starts, with the log format of production.

    Raises:
        SystemExit: the environment names servers, whose data are not a benchmark's to fill.

    """
    given = given_servers(os.environ)
    if given:
        sys.exit(f"a benchmark starts servers of its own: unset the variables of {', '.join(given)} first")
    os.environ["TIDINGS_LOG_FORMAT"] = "json"
    with tempfile.TemporaryDirectory(prefix="tidings-benchmark-", ignore_cleanup_errors=True) as state:
        options = StackOptions(state=Path(state), quiet=(*SERVER_NAMES, *APPLICATION_NAMES, "stack", "catalogue"))
        async with running_stack(options, Console(stderr=True)) as stack:
            yield stack


def processes(stack: Stack) -> dict[str, int]:
    """The process ids of the servers and of Tidings' own processes."""
    return {name: one.process.pid for name, one in (stack.servers.services | stack.applications).items()}


def one_time_code(event_id: str, recipient: str) -> bytes:
    """An event that becomes one text message."""
    return json.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": SOURCE,
            "type": "auth.otp",
            "time": datetime.now(UTC).isoformat(),
            "recipient": recipient,
            "data": {"code": "482915", "valid_minutes": 5},
        }
    ).encode()


def message_of(event_id: str) -> str:
    """The id of the message, which the provider is given as the key."""
    return str(message_id(event_uuid(SOURCE, event_id), 1))


def event_ids(count: int) -> list[str]:
    return [uuid4().hex for _ in range(count)]


def recipient_of(number: int) -> str:
    return str(RECIPIENTS[number % len(RECIPIENTS)]["id"])


def event_producer(stack: Stack) -> EventProducer:
    return EventProducer(kafka_config({"KAFKA_BOOTSTRAP_SERVERS": stack.endpoints.kafka}))


async def produce(producer: EventProducer, ids: Sequence[str]) -> None:
    """Produce an event for each id, all at once."""
    await asyncio.gather(
        *(
            producer.produce(TOPIC, recipient_of(number), one_time_code(event_id, recipient_of(number)))
            for number, event_id in enumerate(ids)
        )
    )
