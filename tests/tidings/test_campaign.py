"""Campaigns from the command line, through the API and its restarts."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.memory import MemoryWorkflows
from api.schemas.campaigns import CampaignAnswer
from notifications.database import Sessions, execute, transaction
from notifications.settings import Settings
from notifications.statuses import CampaignState
from tests.api.support import TOKEN
from tests.api.test_campaigns import body
from tests.support.api_server import ApiServer
from tests.support.campaigns import change_campaign, insert_campaign
from tests.tidings.serving import command_at, printed, serving
from tidings.api_client import open_api
from tidings.campaigning import Campaigning
from tidings.surroundings import CommandError


@pytest.fixture
async def server(sessions: Sessions) -> AsyncIterator[ApiServer]:
    server = serving(sessions, MemoryWorkflows())
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def run(server: ApiServer) -> Any:
    return command_at(server, "campaign")


async def settle(sessions: Sessions, campaign: UUID, state: CampaignState) -> None:
    """As workers leave it."""
    async with transaction(sessions) as session:
        await execute(session, "UPDATE messages SET status = 'sent' WHERE origin_id = :id", {"id": campaign})
    await change_campaign(sessions, campaign, state=state)


def a_file(folder: Path, **changes: Any) -> Path:
    file = folder / "spring.json"
    file.write_text(json.dumps(body(**changes)), encoding="utf-8")
    return file


async def test_a_campaign_goes_from_its_file_to_its_report(run: Any, tmp_path: Path) -> None:
    file = a_file(tmp_path)
    written = printed(await run("create", file, "--key", f"spring-{uuid4()}", "--by", "ana", "--json"))["campaign"]
    campaign = written["id"]
    assert (written["state"], written["created_by"]) == ("draft", "ana")
    assert "targeted" in printed(await run("dry-run", campaign, "--json"))["reach"]
    assert "nothing was written" in (await run("dry-run", campaign)).stdout
    launched = await run("launch", campaign, "--at", "2099-03-01T08:00:00Z")
    assert "starts 2099-03-01 08:00:00 UTC" in launched.stdout, launched.output
    assert f"campaign watch {campaign}" in launched.stdout
    moved = await run("reschedule", campaign, "--at", "2099-03-02T08:00:00Z", "--json")
    assert printed(moved)["campaign"]["starts_at"].startswith("2099-03-02")
    assert "50 a second at most" in (await run("rate", campaign, "--per-second", 50)).stdout
    assert "as fast as the providers" in (await run("rate", campaign, "--unlimited")).stdout
    assert campaign in (await run("list", "--state", "scheduled")).stdout
    assert printed(await run("cancel", campaign, "--json"))["campaign"]["state"] == "cancelled"
    report = await run("report", campaign)
    for words in (
        "cancelled",
        "by ana: draft",
        "cancel       by command line: scheduled → cancelled",
        "per_second: unlimited",
    ):
        assert words in report.stdout
    assert [one["command"] for one in printed(await run("report", campaign, "--json"))["commands"]][-1] == "cancel"


async def test_the_same_key_is_the_same_campaign(run: Any, tmp_path: Path) -> None:
    file, key = a_file(tmp_path), str(uuid4())
    ids = {printed(await run("create", file, "--key", key, "--json"))["campaign"]["id"] for _ in range(2)}
    assert len(ids) == 1
    assert printed(await run("create", file, "--json"))["campaign"]["id"] not in ids


async def test_one_that_runs_is_paused_and_goes_on(run: Any, sessions: Sessions) -> None:
    campaign = await insert_campaign(sessions, messages=3, recipients=2)
    paused = await run("pause", campaign)
    for words in ("paused", "3  targeted: 2 people", "3  pending"):
        assert words in paused.stdout
    assert "running" in (await run("resume", campaign)).stdout


@pytest.mark.parametrize(
    ("state", "command", "says"),
    [
        (CampaignState.DRAFT, "pause", ("is draft", "campaign launch")),
        (CampaignState.COMPLETED, "resume", ("is completed", "campaign report")),
        (CampaignState.RUNNING, "retry-failed", ("is running", "`pause` it")),
        (CampaignState.CANCELLED, "pause", ("is cancelled", "write another one")),
    ],
)
async def test_a_state_that_does_not_allow_it_is_said_with_what_to_do(
    run: Any, sessions: Sessions, state: CampaignState, command: str, says: tuple[str, ...]
) -> None:
    campaign = await insert_campaign(sessions, state=state)
    refused = await run(command, campaign)
    assert refused.exit_code == 1
    assert not [words for words in says if words not in refused.stderr], refused.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pause",), "campaign list"),
        (("pause", "spring"), "spring is no id"),
        (("pause", uuid4()), "no campaign"),
        (("create",), "name a JSON file"),
        (("create", "no-such.json"), "no-such.json"),
        (("rate", uuid4()), "--per-second"),
        (("reschedule", uuid4()), "--at"),
        (("pause", uuid4(), "--at", "2099-03-01"), "--at is for launch and reschedule"),
        (("report", uuid4(), "--status", "failed"), "--export"),
    ],
)
async def test_what_is_asked_wrongly_is_said_in_one_line(run: Any, arguments: tuple[Any, ...], says: str) -> None:
    refused = await run(*arguments)
    assert (refused.exit_code, says in refused.stderr) == (1, True), refused.output
    assert "Traceback" not in refused.output


async def test_a_file_that_is_wrong_says_what_to_mend(run: Any, tmp_path: Path) -> None:
    refused = await run("create", a_file(tmp_path, category="ofers"))
    assert (refused.exit_code, "did you mean 'offers'" in refused.stderr) == (1, True)
    broken = tmp_path / "broken.json"
    broken.write_text("{", encoding="utf-8")
    assert "is not JSON" in (await run("create", broken)).stderr


async def test_its_messages_are_exported_whole(run: Any, sessions: Sessions, tmp_path: Path) -> None:
    campaign, to = await insert_campaign(sessions, messages=3), tmp_path / "messages.csv"
    assert "has its messages" in (await run("report", campaign, "--export", to)).stdout
    assert len(to.read_text(encoding="utf-8").splitlines()) == 4
    lines = tmp_path / "failed.ndjson"
    assert (await run("report", campaign, "--export", lines, "--status", "failed", "--json")).exit_code == 0
    assert lines.read_text(encoding="utf-8") == ""


async def test_watching_ends_with_the_campaign(run: Any, sessions: Sessions) -> None:
    done = await insert_campaign(sessions, messages=2)
    await settle(sessions, done, CampaignState.COMPLETED)
    watched = await run("watch", done)
    assert (watched.exit_code, "2  sent" in watched.stdout) == (0, True), watched.output
    lost = await insert_campaign(sessions, state=CampaignState.FAILED, pause_reason="prepare_failed")
    ended = await run("watch", lost, "--json")
    line = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.exit_code, line["campaign"]["state"]) == (1, "failed")


async def watching(server: ApiServer, campaign: UUID, seen: Any, waiting: Any) -> CampaignAnswer:
    settings = Settings.model_validate({"public_url": server.url, "api_token": TOKEN})
    async with open_api(settings) as http, asyncio.timeout(60):
        quick = Campaigning(http, waiting, sleep=lambda _: asyncio.sleep(0.02))
        return await quick.watch(str(campaign), seen)


async def test_watching_goes_on_through_a_restart_of_the_api(server: ApiServer, sessions: Sessions) -> None:
    campaign = await insert_campaign(sessions, messages=5)
    first, gone = asyncio.Event(), asyncio.Event()
    said: list[str] = []

    def noticed(why: str) -> None:
        said.append(why)
        gone.set()

    watched = asyncio.create_task(watching(server, campaign, lambda _: first.set(), noticed))
    await first.wait()
    await server.stop()
    await gone.wait()
    await settle(sessions, campaign, CampaignState.COMPLETED)
    assert not watched.done()
    await server.start()
    answer = await watched
    assert answer.account is not None
    assert answer.account.by_status == {"sent": 5}
    assert "does not answer" in said[0]


async def test_a_command_is_carried_out_once_the_api_is_back(server: ApiServer, sessions: Sessions) -> None:
    campaign = await insert_campaign(sessions, messages=1)
    await server.stop()
    settings = Settings.model_validate({"public_url": server.url, "api_token": TOKEN})
    gone = asyncio.Event()
    async with open_api(settings) as http, asyncio.timeout(60):
        patient = Campaigning(http, lambda _: gone.set(), sleep=lambda _: asyncio.sleep(0.02))
        asked = asyncio.create_task(patient.command(str(campaign), "pause"))
        await gone.wait()
        await server.start()
        assert (await asked).campaign.state is CampaignState.PAUSED


async def test_a_command_gives_up_and_says_that_nothing_is_known(server: ApiServer) -> None:
    await server.stop()
    settings = Settings.model_validate({"public_url": server.url, "api_token": TOKEN})
    times = iter(range(0, 10_000, 10))
    async with open_api(settings) as http:
        hasty = Campaigning(http, lambda _: None, sleep=lambda _: asyncio.sleep(0), clock=lambda: float(next(times)))
        with pytest.raises(CommandError, match="not known"):
            await hasty.command(str(uuid4()), "pause")
