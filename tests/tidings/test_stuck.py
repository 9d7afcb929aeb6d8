import json
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import Result

from notifications.database import Sessions
from tests.api.support import message_row, notification_row, save, unique
from tests.support.commands import run_command


@pytest.fixture
def stuck(database_url: str, temporal_address: str) -> Any:
    async def run(*arguments: str) -> Result:
        env = {"TIDINGS_DATABASE_URL": database_url, "TEMPORAL_ADDRESS": temporal_address}
        return await run_command("stuck", *arguments, env=env)

    return run


@pytest.fixture
async def definition(sessions: Sessions) -> str:
    """Of one stuck message, whose workflow was never started."""
    name = unique("definition")
    row = notification_row(unique("pay"), definition=name)
    await save(
        sessions, row, message_row(row, 1, stuck_reason="smtp_451", provider="smtp", updated_at=datetime.now(UTC))
    )
    return name


async def test_list_says_why(stuck: Any, definition: str) -> None:
    result = await stuck("list", "--definition", definition, "--provider", "smtp", "--since", "1h")
    assert result.exit_code == 0, result.output
    assert "smtp_451" in result.stdout
    assert "1 stuck message" in result.stdout
    (message,) = json.loads((await stuck("list", "--definition", definition, "--json")).stdout)["messages"]
    assert (message["seq"], message["channel"], message["stuck_reason"]) == (1, "email", "smtp_451")


async def test_a_dry_run_does_nothing(stuck: Any, definition: str) -> None:
    result = await stuck("skip", "--definition", definition, "--dry-run")
    assert (result.exit_code, "nothing was done" in result.stdout) == (0, True)


async def test_one_without_a_workflow_is_said(stuck: Any, definition: str) -> None:
    result = await stuck("retry", "--definition", definition)
    assert result.exit_code == 1
    assert "without a running workflow" in result.stdout
    document = json.loads((await stuck("retry", "--definition", definition, "--json")).stdout)
    assert (document["count"], document["gone"], document["messages"][0]["outcome"]) == (1, 1, "gone")


async def test_nothing_found_is_no_failure(stuck: Any) -> None:
    result = await stuck("retry", "--definition", unique("none"))
    assert (result.exit_code, "0 stuck messages" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"), [(("retry",), "--all"), (("list", "--since", "hour"), "is not a duration")]
)
async def test_what_cannot_be_done_is_said(stuck: Any, arguments: tuple[str, ...], words: str) -> None:
    result = await stuck(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr
