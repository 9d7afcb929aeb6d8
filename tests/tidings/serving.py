"""The API on a socket, for commands that ask it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from typer.testing import Result

from api.collaborators import Workflows
from api.console.sign_ins import SignIns
from api.context import ApiContext
from api.links import Links
from api.memory import MemoryCatalogue, MemoryPublisher
from notifications.campaigns.accounts import Accounts
from notifications.database import Sessions
from notifications.events.intent import Interpreter
from notifications.ledger import Ledger
from notifications.profiles.source import build_profile_source
from notifications.settings import Settings
from notifications.unsubscribe import UnsubscribeLinks
from tests.api.support import HASH_KEY, TOKEN, app_with, definitions
from tests.support.api_server import ApiServer
from tests.support.commands import run_command


def serving(sessions: Sessions, workflows: Workflows, **settings: Any) -> ApiServer:
    """Not started yet; each start makes another context, as a restart does."""
    chosen = Settings.model_validate({"api_token": TOKEN, "hash_key": HASH_KEY, **settings})

    def context() -> ApiContext:
        return ApiContext(
            settings=chosen,
            sessions=sessions,
            catalogue=MemoryCatalogue(definitions()),
            interpreter=Interpreter(),
            ledger=Ledger(sessions, process="api-test"),
            profiles=build_profile_source(chosen, sessions),
            publisher=MemoryPublisher(),
            workflows=workflows,
            links=Links(server.url, "http://ui.test", "default"),
            hash_key=HASH_KEY.encode(),
            unsubscribe=UnsubscribeLinks.of(chosen, HASH_KEY.encode()),
            accounts=Accounts(sessions),
            sign_ins=SignIns.of(chosen),
        )

    server = ApiServer(lambda: app_with(context()))
    return server


def command_at(server: ApiServer, command: str) -> Callable[..., Awaitable[Result]]:
    """`python -m tidings <command> ...` against that API."""

    async def run(*arguments: object) -> Result:
        env = {"TIDINGS_PUBLIC_URL": server.url, "TIDINGS_API_TOKEN": TOKEN}
        return await run_command(command, *(str(argument) for argument in arguments), env=env)

    return run


def printed(result: Result) -> Any:
    """The JSON after what the application, in the same process, has logged."""
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout[result.stdout.index("{\n") :])
