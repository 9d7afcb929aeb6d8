"""Pause, cancel and another rate take hold within two seconds, whatever the vendor does; on real servers."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from notifications.settings import TwilioSettings
from notifications.statuses import Channel
from tests.support.integration import until
from tests.support.marketing import Marketer
from tests.support.reporting import Reporting, running_reporting

CALLS = 4  # under way at once
HANG_MS = 30_000
GIVEN_UP_AFTER = 5.0  # seconds, by our side


@pytest.fixture(scope="module")
async def running(postgres_server: str, temporal_address: str) -> AsyncIterator[Reporting]:
    settings = {"campaign_calls": CALLS, "twilio": TwilioSettings(timeout_seconds=GIVEN_UP_AFTER)}
    async with running_reporting(postgres_server, temporal_address, **settings) as running:
        yield running


async def launch_into_a_hanging_vendor(marketer: Marketer) -> str:
    """Ten who agreed and one who did not; as many calls as may be are under way."""
    await marketer.reporting.fault("twilio", latency_ms=HANG_MS)
    refuser = await marketer.house.recipient()
    campaign = await marketer.launch(Channel.SMS, [*await marketer.recipients(10, Channel.SMS), refuser])

    async def hangs() -> bool:
        return await marketer.calls("twilio") == CALLS

    await until(hangs)
    return campaign


async def until_nothing_is_in_flight(marketer: Marketer, campaign: str) -> None:
    async def is_quiet() -> bool:
        return "sending" not in await marketer.account(campaign)

    await until(is_quiet)


async def test_a_pause_while_the_vendor_hangs_says_what_is_in_flight_and_begins_nothing(marketer: Marketer):
    campaign = await launch_into_a_hanging_vendor(marketer)
    paused = await marketer.command(campaign, "pause")
    assert paused["campaign"]["state"] == "paused"
    assert paused["account"]["by_status"] == {"pending": 6, "sending": CALLS, "skipped": 1}
    assert (paused["account"]["in_flight"], paused["account"]["skipped"]) == (CALLS, {"opted_out": 1})
    await until_nothing_is_in_flight(marketer, campaign)
    assert await marketer.account(campaign) == {"pending": 6, "unknown": CALLS, "skipped": 1}
    assert await marketer.calls("twilio") == CALLS
    await marketer.reporting.quiet()
    await marketer.command(campaign, "resume")
    assert await marketer.result(campaign) == "completed"
    assert await marketer.account(campaign) == {"sent": 6, "unknown": CALLS, "skipped": 1}


async def test_a_cancel_while_the_vendor_hangs_counts_what_waits_as_cancelled_at_once(marketer: Marketer):
    campaign = await launch_into_a_hanging_vendor(marketer)
    cancelled = await marketer.command(campaign, "cancel")
    assert cancelled["account"]["by_status"] == {"cancelled": 6, "sending": CALLS, "skipped": 1}
    assert cancelled["account"]["in_flight"] == CALLS
    assert await marketer.result(campaign) == "cancelled"
    await until_nothing_is_in_flight(marketer, campaign)
    assert await marketer.account(campaign) == {"cancelled": 6, "unknown": CALLS, "skipped": 1}
    assert await marketer.calls("twilio") == CALLS


@pytest.mark.parametrize("command", ["pause", "cancel"])
async def test_under_full_way_the_last_call_begins_within_two_seconds(marketer: Marketer, command: str):
    await marketer.reporting.sandbox.delete("/api/inbox")
    await marketer.reporting.fault("twilio", latency_ms=200)  # so it lasts, with four calls at once
    campaign = await marketer.launch(Channel.SMS, await marketer.recipients(160, Channel.SMS))

    async def is_under_way() -> bool:
        return (await marketer.account(campaign)).get("sent", 0) >= 10

    await until(is_under_way)
    answer = await marketer.command(campaign, command)
    answered = time.time()  # on a busy machine later than the command itself, so never too strict
    assert answer["account"]["by_status"]["pending" if command == "pause" else "cancelled"] > 0
    await until_nothing_is_in_flight(marketer, campaign)
    await asyncio.sleep(max(0.0, answered + 3 - time.time()))  # what would come too late has come by then
    assert await marketer.accepted(channel="sms", since=answered + 2) == 0
    account = await marketer.account(campaign)
    assert account["sent"] == await marketer.accepted(channel="sms") < 160
    if command == "pause":
        await marketer.reporting.quiet()
        await marketer.command(campaign, "resume")
        assert await marketer.result(campaign) == "completed"
        assert await marketer.account(campaign) == {"sent": 160}


async def test_another_rate_is_felt_while_it_runs(marketer: Marketer):
    await marketer.reporting.sandbox.delete("/api/inbox")
    campaign = await marketer.launch(Channel.SMS, await marketer.recipients(12, Channel.SMS), rate={"per_second": 0.02})

    async def has_begun() -> bool:
        return await marketer.accepted(channel="sms") == 1

    await until(has_begun)  # the next one would go out 50 s later
    await marketer.command(campaign, "rate", per_second=100)
    async with asyncio.timeout(15):
        assert await marketer.result(campaign) == "completed"
    assert await marketer.account(campaign) == {"sent": 12}
