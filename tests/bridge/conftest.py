"""One bench per test session: real Postgres, Kafka and Temporal."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from bridge.producer import EventProducer
from notifications.database import Sessions
from tests.bridge.running import Bench


@pytest.fixture(scope="session")
async def bench(
    kafka_bootstrap: str, database_url: str, sessions: Sessions, temporal_client: Client
) -> AsyncIterator[Bench]:
    async with EventProducer({"bootstrap.servers": kafka_bootstrap}) as producer:
        bench = Bench(kafka_bootstrap, database_url, sessions, temporal_client, producer)
        await bench.prepare()
        yield bench
