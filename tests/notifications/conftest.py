"""Two processes at one ledger. Claims may be taken over at once: whoever tests the wait for a call says so."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from notifications.database import Sessions
from notifications.ledger import Ledger
from tests.support.postgres import fresh_database, opened


@pytest.fixture
def ledger(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-a", call_window=timedelta())


@pytest.fixture
def other(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-b", call_window=timedelta())


@pytest.fixture(scope="module")
async def own_database(postgres_server: str) -> AsyncIterator[Sessions]:
    """For tests that count what is in whole tables."""
    async with fresh_database(postgres_server) as url, opened(url) as sessions:
        yield sessions
