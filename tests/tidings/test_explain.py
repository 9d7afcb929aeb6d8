import json
from typing import Any

import pytest
from typer.testing import Result

from notifications.database import Sessions
from notifications.ids import event_uuid
from tests.api.support import SOURCE, attempt_row, message_row, notification_row, rejected_row, save, unique
from tests.support.campaigns import campaign_row
from tests.support.commands import run_command


@pytest.fixture
def explain(database_url: str) -> Any:
    async def run(*arguments: str) -> Result:
        return await run_command("explain", *arguments, env={"TIDINGS_DATABASE_URL": database_url})

    return run


async def test_accepted_in_words(explain: Any, sessions: Sessions) -> None:
    row = notification_row(unique("pay"), status="done")
    email = message_row(row, 1, status="sent", attempt=2)
    push = message_row(row, 2, channel="push", status="skipped", reason="no_address", address=None)
    await save(sessions, row, email, push, attempt_row(email, 1, outcome="transient", code="smtp_450"))
    result = await explain(row.event_id)
    assert result.exit_code == 0
    for words in (
        "accepted",
        "j•••@example.org",
        "smtp_450",
        "no address for this channel",
        "try 2: lost",
        str(row.id),
    ):
        assert words in result.stdout
    assert "jane@example.org" not in result.stdout
    assert f"/workflows/notification-{row.id}\n" in result.stdout, "a link is never cut"


async def test_the_notification_id_will_do(explain: Any, sessions: Sessions) -> None:
    row = notification_row(unique("pay"))
    await save(sessions, row)
    result = await explain(str(row.id), "--json")
    assert json.loads(result.stdout)["id"] == row.event_id


async def test_a_launch_by_its_id_or_the_campaigns(explain: Any, sessions: Sessions) -> None:
    event_id = unique("spring")
    campaign_id = event_uuid(SOURCE, event_id)
    await save(sessions, campaign_row(id=campaign_id, source=SOURCE, event_id=event_id))
    for wanted in (event_id, str(campaign_id)):
        result = await explain(wanted)
        assert result.exit_code == 0
        assert f"campaign      {campaign_id}  Spring sale" in result.stdout
        assert "running, round 1" in result.stdout


async def test_rejected_with_what_to_mend(explain: Any, sessions: Sessions) -> None:
    row = rejected_row(unique("pay"), detail="did you mean payment.succeeded?")
    await save(sessions, row)
    result = await explain(row.event_id)
    assert result.exit_code == 0
    assert "rejected" in result.stdout
    assert "did you mean payment.succeeded?" in result.stdout


async def test_json_is_the_answer_of_the_api(explain: Any, sessions: Sessions) -> None:
    row = notification_row(unique("pay"))
    await save(sessions, row)
    document = json.loads((await explain(row.event_id, "--json")).stdout)
    assert (document["state"], document["source"], document["notification"]["id"]) == ("accepted", SOURCE, str(row.id))


async def test_several_sources_are_listed(explain: Any, sessions: Sessions) -> None:
    event_id, other = unique("pay"), "https://other.example"
    await save(sessions, notification_row(event_id), rejected_row(event_id, source=other))
    result = await explain(event_id)
    assert "--source" in result.stdout
    assert SOURCE in result.stdout
    assert other in result.stdout
    assert len(json.loads((await explain(event_id, "--json")).stdout)["answers"]) == 2
    one = json.loads((await explain(event_id, "--source", other, "--json")).stdout)
    assert one["state"] == "rejected"


async def test_not_seen(explain: Any) -> None:
    result = await explain(unique("pay"))
    assert result.exit_code == 1
    assert "not seen" in result.stdout
    assert json.loads((await explain(unique("pay"), "--json")).stdout)["state"] == "not_seen"


async def test_text_that_looks_like_markup_is_printed_as_it_is(explain: Any, sessions: Sessions) -> None:
    row = rejected_row(unique("[bold]pay[/nonsense]"), detail="[red]mend[/] it")
    await save(sessions, row)
    result = await explain(row.event_id)
    assert row.event_id in result.stdout
    assert "[red]mend[/] it" in result.stdout


@pytest.mark.parametrize(
    ("url", "words"),
    [(None, "TIDINGS_DATABASE_URL is not set"), ("postgresql://nobody@127.0.0.1:9/none", "tidings doctor")],
)
async def test_without_a_database_it_says_what_to_do(url: str | None, words: str) -> None:
    result = await run_command("explain", "pay-1", env={"TIDINGS_DATABASE_URL": url})
    assert result.exit_code == 1
    assert words in result.stderr
    assert "Traceback" not in result.output
