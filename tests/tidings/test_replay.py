import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from notifications.catalogue.publish import apply_folder
from notifications.database import Sessions
from notifications.tables import RejectedEvent
from tests.api.support import SOURCE, event, rejected_row, save, unique
from tests.support.commands import run_command

CATALOGUE = Path(__file__).parents[2] / "catalogue"
NOBODY = "127.0.0.1:9"  # the port of "discard": no broker is there


@pytest.fixture
async def replay(database_url: str, sessions: Sessions) -> Any:
    await apply_folder(CATALOGUE, sessions)

    async def run(*arguments: object) -> Result:
        env = {"TIDINGS_DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": NOBODY}
        return await run_command("replay", *(str(argument) for argument in arguments), env=env)

    return run


@pytest.fixture
async def row(sessions: Sessions) -> RejectedEvent:
    sent = event(type="payment.suceeded")
    row = rejected_row(sent["id"], value=json.dumps(sent).encode(), source=unique(SOURCE))
    await save(sessions, row)
    return row


async def test_listed_until_given_up(replay: Any, row: RejectedEvent) -> None:
    source = ("--source", row.source)
    assert str(row.id) in (await replay("list", *source)).stdout
    result = await replay("give-up", row.id, "--by", "ana")
    assert (result.exit_code, "given up by ana" in result.stdout) == (0, True)
    assert "0 rejected events" in (await replay("list", *source)).stdout
    (shown,) = json.loads((await replay("list", "--all", "--json", *source)).stdout)
    assert (shown["id"], shown["state"], shown["given_up_by"]) == (row.id, "given_up", "ana")
    refused = await replay("event", row.id, "--patch", '{"type": "auth.otp", "data": {"code": "123456"}}')
    assert refused.exit_code == 1


async def test_shown_as_it_came(replay: Any, row: RejectedEvent) -> None:
    result = await replay("show", row.id)
    assert "payment.suceeded" in result.stdout
    assert "mend it" in result.stdout
    assert json.loads((await replay("show", row.id, "--json")).stdout)["id"] == row.id


async def test_replayed_with_a_mended_file(
    replay: Any, row: RejectedEvent, tmp_path: Path, database_url: str, kafka_bootstrap: str
) -> None:
    file = tmp_path / "mended.json"
    file.write_text(
        json.dumps(json.loads((CATALOGUE / "payment.succeeded/example.json").read_text()) | {"id": row.event_id})
    )
    env = {"TIDINGS_DATABASE_URL": database_url, "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap}
    first = await run_command("replay", "event", str(row.id), "--file", str(file), "--json", env=env)
    assert first.exit_code == 0, first.output
    answer = json.loads(first.stdout)
    assert (answer["replayed_as"], answer["produced"]) == (row.event_id, True)
    second = await run_command("replay", "event", str(row.id), "--file", str(file), env=env)
    assert f"was replayed before as {row.event_id}" in second.stdout


async def test_still_wrong_says_what_to_mend(replay: Any, row: RejectedEvent) -> None:
    result = await replay("event", row.id)
    assert result.exit_code == 1
    assert "did you mean payment.succeeded" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show"], "say which"),
        (["show", "999999999"], "replay list"),
        (["give-up", "999999999"], "no rejected event"),
        (["event", "1", "--patch", "{"], "is not JSON"),
        (["event", "1", "--patch", "[]"], "JSON object"),
        (["event", "1", "--file", "nowhere.json"], "cannot be read"),
        (["event", "1", "--file", "a", "--patch", "{}"], "exclude"),
    ],
)
async def test_what_cannot_be_done_is_said(replay: Any, arguments: list[str], words: str) -> None:
    result = await replay(*arguments)
    assert result.exit_code == 1
    assert words in result.stderr
