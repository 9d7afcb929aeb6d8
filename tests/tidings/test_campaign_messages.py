"""Single messages of a campaign from the command line: listed, sent once more, settled."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.collaborators import WorkflowsUnavailableError
from api.memory import MemoryWorkflows
from notifications.database import Sessions, execute, transaction
from notifications.settings import Settings
from notifications.statuses import MessageStatus
from tests.api.support import TOKEN
from tests.support.api_server import ApiServer
from tests.support.campaigns import change_campaign, insert_campaign, statuses_of
from tests.tidings.serving import command_at, printed, serving
from tidings.api_client import open_api
from tidings.campaigning import Campaigning
from tidings.surroundings import CommandError


@pytest.fixture
def workflows() -> MemoryWorkflows:
    return MemoryWorkflows()


@pytest.fixture
async def server(sessions: Sessions, workflows: MemoryWorkflows) -> AsyncIterator[ApiServer]:
    server = serving(sessions, workflows)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def run(server: ApiServer) -> Any:
    return command_at(server, "campaign")


@pytest.fixture
async def campaign(sessions: Sessions) -> UUID:
    """Completed; of its two messages the first is unknown."""
    campaign = await insert_campaign(sessions, messages=2, state="completed")
    async with transaction(sessions) as session:
        statement = """UPDATE messages SET attempt = 1, status = CASE seq WHEN 1 THEN 'unknown' ELSE 'sent' END,
                       reason = CASE seq WHEN 1 THEN 'answer_lost' END WHERE origin_id = :id"""
        await execute(session, statement, {"id": campaign})
    return campaign


async def test_the_unknown_ones_are_found_from_the_report(run: Any, campaign: UUID) -> None:
    report = (await run("report", campaign)).stdout
    assert f"campaign messages {campaign} --status unknown" in report
    found = printed(await run("messages", campaign, "--status", "unknown", "--json"))
    assert [(one["seq"], one["status"], one["reason"]) for one in found["items"]] == [(1, "unknown", "answer_lost")]
    listed = await run("messages", campaign)
    assert (listed.exit_code, "unknown" in listed.stdout, "sent" in listed.stdout) == (0, True, True), listed.output
    assert (await run("messages", campaign, "--status", "bounced")).stdout.splitlines()[-1] == "none"


async def test_a_long_list_says_that_there_are_more(run: Any, sessions: Sessions) -> None:
    long = await insert_campaign(sessions, messages=51)
    assert "--export messages.csv" in (await run("messages", long)).stdout


async def test_one_is_sent_once_more(run: Any, workflows: MemoryWorkflows, campaign: UUID) -> None:
    done = printed(await run("retry-message", campaign, 1, "--accept-duplicate", "--json"))
    assert done == {"campaign_id": str(campaign), "seq": 1, "status": "pending", "round": 2}
    again = await run("retry-message", campaign, 1, "--accept-duplicate")
    assert (again.exit_code, "message 1  pending, round 2" in again.stdout) == (0, True), again.output
    assert workflows.resends == [(campaign, 1, 2)] * 2  # the second finds the workflow of the first


async def test_one_is_settled(run: Any, sessions: Sessions, campaign: UUID) -> None:
    done = printed(await run("settle", campaign, 1, "--status", "failed", "--by", "ana", "--json"))
    assert (done["status"], done["round"]) == ("failed", 1)
    assert "campaign retry-failed" in (await run("settle", campaign, 1, "--status", "failed")).stdout
    assert await statuses_of(sessions, campaign) == {"failed": 1, "sent": 1}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("retry-message", "{id}"), "messages {id} --status unknown"),
        (("retry-message", "{id}", 1), "--accept-duplicate"),
        (("retry-message", "{id}", 2, "--accept-duplicate"), "the message is sent"),
        (("retry-message", "{id}", 9, "--accept-duplicate"), "no message 9"),
        (("retry-message", uuid4(), 1, "--accept-duplicate"), "no message 1 of a campaign"),
        (("retry-message", "spring", 1, "--accept-duplicate"), "spring is no id"),
        (("settle", "{id}", 1), "--status sent, or --status failed"),
        (("settle", "{id}", 1, "--status", "delivered"), "--status sent, or --status failed"),
        (("settle", "{id}", 2, "--status", "failed"), "the message is sent"),
        (("settle", "{id}", 9, "--status", "failed"), "no message 9"),
        (("messages", uuid4()), "no campaign"),
        (("settle", "{id}", 1, "--status", "sent", "--accept-duplicate"), "--accept-duplicate is for retry-message"),
        (("pause", "{id}", 1), "the number of a message is for retry-message and settle"),
        (("list", "--status", "sent"), "--status is for messages and report and settle"),
    ],
)
async def test_what_cannot_be_done_is_said_in_one_line(
    run: Any, campaign: UUID, arguments: tuple[Any, ...], says: str
) -> None:
    refused = await run(*(str(argument).format(id=campaign) for argument in arguments))
    assert (refused.exit_code, says.format(id=campaign) in refused.stderr) == (1, True), refused.output
    assert "Traceback" not in refused.output


async def test_a_refusal_says_what_to_do_instead(run: Any, sessions: Sessions, campaign: UUID) -> None:
    await change_campaign(sessions, campaign, state="running")
    refused = await run("retry-message", campaign, 1, "--accept-duplicate")
    for words in ("the campaign is running", "the message is unknown", "`settle`"):
        assert words in refused.stderr, refused.stderr
    refused = await run("settle", campaign, 2, "--status", "failed")
    assert refused.stderr.splitlines()[-1].endswith("only an unknown message can be settled; the message is sent")
    await run("settle", campaign, 1, "--status", "failed")
    refused = await run("settle", campaign, 1, "--status", "sent")
    assert f"campaign retry-failed {campaign}" in refused.stderr, refused.stderr


async def test_it_is_carried_out_once_api_and_temporal_are_back(
    server: ApiServer, workflows: MemoryWorkflows, campaign: UUID
) -> None:
    await server.stop()
    workflows.failure = WorkflowsUnavailableError("away")
    settings = Settings.model_validate({"public_url": server.url, "api_token": TOKEN})
    said: list[str] = []
    heard = asyncio.Event()

    def waiting(why: str) -> None:
        said.append(why)
        heard.set()

    async with open_api(settings) as http, asyncio.timeout(60):
        patient = Campaigning(http, waiting, sleep=lambda _: asyncio.sleep(0.02))
        asked = asyncio.create_task(patient.retry_message(str(campaign), 1))
        await heard.wait()
        await server.start()
        while "Temporal" not in said[-1]:
            heard.clear()
            await heard.wait()
        workflows.failure = None
        assert (await asked).round == 2
    assert "does not answer" in said[0]


async def test_it_gives_up_and_says_that_nothing_is_known(server: ApiServer, campaign: UUID) -> None:
    await server.stop()
    settings = Settings.model_validate({"public_url": server.url, "api_token": TOKEN})
    times = iter(range(0, 10_000, 10))
    async with open_api(settings) as http:
        hasty = Campaigning(http, lambda _: None, sleep=lambda _: asyncio.sleep(0), clock=lambda: float(next(times)))
        for asked in (
            hasty.retry_message(str(campaign), 1),
            hasty.settle(str(campaign), 1, MessageStatus.SENT),
        ):
            with pytest.raises(CommandError, match="not known"):
                await asked
