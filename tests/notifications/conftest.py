"""Two processes at one ledger."""

import pytest

from notifications.database import Sessions
from notifications.ledger import Ledger


@pytest.fixture
def ledger(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-a")


@pytest.fixture
def other(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-b")
