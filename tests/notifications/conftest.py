"""Two processes at one ledger. Claims may be taken over at once: whoever tests the wait for a call says so."""

from datetime import timedelta

import pytest

from notifications.database import Sessions
from notifications.ledger import Ledger


@pytest.fixture
def ledger(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-a", call_window=timedelta())


@pytest.fixture
def other(sessions: Sessions) -> Ledger:
    return Ledger(sessions, process="worker-b", call_window=timedelta())
