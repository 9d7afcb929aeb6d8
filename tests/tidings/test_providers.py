import json
from typing import Any

import pytest
from typer.testing import Result

from tests.support.commands import run_command


@pytest.fixture
def providers(database_url: str) -> Any:
    async def run(*arguments: str) -> Result:
        return await run_command("providers", *arguments, env={"TIDINGS_DATABASE_URL": database_url})

    return run


async def test_pause_list_resume(providers: Any) -> None:
    paused = await providers("pause", "twilio", "--reason", "moving [soon]", "--json")
    assert paused.exit_code == 0, paused.stderr
    (account,) = json.loads(paused.stdout)["items"]
    assert (account["name"], account["state"], account["paused_by"]) == ("twilio", "paused", "command line")
    listed = (await providers("list")).stdout
    assert "moving [soon]" in listed
    assert "smtp" in listed
    (account,) = json.loads((await providers("resume", "twilio", "--channel", "sms", "--json")).stdout)["items"]
    assert account["state"] == "running"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pause",), "name the provider"),
        (("pause", "smpt"), "there is"),
        (("resume", "smtp", "--channel", "push"), "on push"),
    ],
)
async def test_a_mistake_is_one_line(providers: Any, arguments: tuple[str, ...], words: str) -> None:
    result = await providers(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
