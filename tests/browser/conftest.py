"""A campaign's page in a real browser, before the application on a real socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api.context import ApiContext
from tests.api.conftest import context, publisher, settings, workflows
from tests.api.support import app_with
from tests.support.api_server import ApiServer
from tests.support.browser import Tab, find_browser, opened_tab

__all__ = ["context", "publisher", "settings", "workflows"]


@pytest.fixture
async def server(context: ApiContext) -> AsyncIterator[ApiServer]:
    server = ApiServer(lambda: app_with(context))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def tab(tmp_path: Path) -> AsyncIterator[Tab]:
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium on the PATH")
    async with opened_tab(browser, tmp_path) as tab:
        yield tab
