"""The application on a real database, with the other servers in memory."""

from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient
from pydantic import SecretStr

from api.console.sign_ins import SignIns
from api.context import ApiContext
from api.links import Links
from api.memory import MemoryCatalogue, MemoryPublisher, MemoryWorkflows
from notifications.campaigns.accounts import Accounts
from notifications.database import Sessions
from notifications.events.intent import Interpreter
from notifications.ledger import Ledger
from notifications.profiles.source import build_profile_source
from notifications.settings import Settings
from notifications.unsubscribe import UnsubscribeLinks
from tests.api.support import HASH_KEY, TOKEN, client_of, definitions


@pytest.fixture
def settings() -> Settings:
    return Settings(api_token=SecretStr(TOKEN), hash_key=SecretStr(HASH_KEY))


@pytest.fixture
def publisher() -> MemoryPublisher:
    return MemoryPublisher()


@pytest.fixture
def workflows() -> MemoryWorkflows:
    return MemoryWorkflows()


@pytest.fixture
def context(
    settings: Settings, sessions: Sessions, publisher: MemoryPublisher, workflows: MemoryWorkflows
) -> ApiContext:
    return ApiContext(
        settings=settings,
        sessions=sessions,
        catalogue=MemoryCatalogue(definitions()),
        interpreter=Interpreter(),
        ledger=Ledger(sessions, process="api-test"),
        profiles=build_profile_source(settings, sessions),
        publisher=publisher,
        workflows=workflows,
        links=Links("http://api.test", "http://ui.test", "default"),
        hash_key=HASH_KEY.encode(),
        unsubscribe=UnsubscribeLinks.of(settings, HASH_KEY.encode()),
        accounts=Accounts(sessions),
        sign_ins=SignIns.of(settings),
    )


@pytest.fixture
async def client(context: ApiContext) -> AsyncIterator[AsyncClient]:
    async with client_of(context) as client:
        yield client
