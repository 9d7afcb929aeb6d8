"""A snapshot that is interrupted, repeated or wrong writes nothing twice, and says why where it cannot go on."""

import asyncio
import random
import signal
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, update

from notifications.audiences.store import UnknownAudienceError
from notifications.campaigns.snapshot import Block, CampaignUnreadyError, Snapshot
from notifications.database import Sessions, execute, transaction
from notifications.profiles.profile import Device, Profile
from notifications.queries import recipients
from notifications.statuses import Channel
from notifications.tables import Campaign
from tests.support.audiences import insert_recipients
from tests.support.campaigns import (
    campaign_of,
    category_of,
    crowd_of,
    insert_unprepared,
    messages_of,
    prepare,
    ranges_of,
)
from tests.support.planning import HASH_KEY, refer

ROOT = Path(__file__).resolve().parents[3]
CROWD, BLOCK = 1_500, 25


@pytest.mark.parametrize("block", [3, 1_000])
async def test_several_at_once_take_turns(sessions: Sessions, people: list[str], block: int) -> None:
    campaign = await insert_unprepared(sessions, category_of(), {"filter": crowd_of(people)})
    await asyncio.gather(*(prepare(Snapshot(sessions, HASH_KEY, block=block), campaign) for _ in range(4)))
    rows = await messages_of(sessions, campaign)
    assert [(row.seq, row.recipient_id) for row in rows] == list(enumerate(people, 1))
    assert await ranges_of(sessions, campaign) == [(1, 1, len(people), 0)]


async def _killed_after(url: str, sessions: Sessions, campaign: uuid.UUID, blocks: int) -> None:
    """Run a process that prepares the campaign, and kill it somewhere after that many blocks."""
    command = ("-m", "tests.support.preparing", url, str(campaign), str(BLOCK))
    process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=ROOT)
    begun = (await campaign_of(sessions, campaign)).prepared_to
    async with asyncio.timeout(60):
        for _ in range(blocks):
            while (now := await campaign_of(sessions, campaign)).prepared_to == begun and now.prepared_at is None:
                await asyncio.sleep(0.01 * random.random())  # noqa: S311 - any moment will do
            begun = now.prepared_to
    process.send_signal(signal.SIGKILL)
    assert await process.wait() == -signal.SIGKILL


async def test_killed_at_any_point_it_goes_on_without_a_gap_or_a_double(database_url: str, sessions: Sessions) -> None:
    crowd = uuid.uuid4().hex
    ids = [f"{crowd}-{number:04}" for number in range(CROWD)]
    await insert_recipients(sessions, ({"id": name, "attributes": {"crowd": crowd}} for name in ids))
    campaign = await insert_unprepared(sessions, category_of(), {"filter": crowd_of(ids)})
    for blocks in (2, 3, 4):
        await _killed_after(database_url, sessions, campaign, blocks)
        assert (await campaign_of(sessions, campaign)).prepared_at is None
    await prepare(Snapshot(sessions, HASH_KEY, block=BLOCK), campaign)
    rows = await messages_of(sessions, campaign)
    assert [(row.seq, row.recipient_id) for row in rows] == list(enumerate(ids, 1))
    assert await ranges_of(sessions, campaign) == [(1, 1, CROWD, 0)]


@pytest.mark.parametrize("channel", ["email", "sms", "push"])
async def test_addresses_of_before_are_hashed_and_found_suppressed(
    sessions: Sessions, snapshot: Snapshot, people: list[str], channel: str
) -> None:
    phone = f"+49151{uuid.uuid4().int % 10**8:08}"
    async with transaction(sessions) as session:
        profile = Profile(
            recipient_id=people[0],
            email=f"{people[0]}@example.org",
            phone=phone,
            devices=(Device("d", f"token-{people[0]}", "ios"),),
        )
        await recipients.upsert_recipient(session, profile, hash_key=HASH_KEY)
        await execute(
            session, "UPDATE recipients SET email_ref = NULL, phone_ref = NULL WHERE id = :id", {"id": people[0]}
        )
        await execute(session, "UPDATE devices SET token_ref = NULL WHERE recipient_id = :id", {"id": people[0]})
    address = {"email": f"{people[0]}@example.org", "sms": phone, "push": f"token-{people[0]}"}[channel]
    ref = refer(Channel(channel), address)
    async with transaction(sessions) as session:
        await recipients.suppress(session, ref, Channel(channel), "all", "hard_bounce", "smtp")
    campaign = await insert_unprepared(sessions, category_of(), {"recipients": people[:1]}, channel=channel)
    await prepare(snapshot, campaign)
    (row,) = await messages_of(sessions, campaign)
    assert (row.status, row.reason, row.address, row.address_ref) == ("skipped", "suppressed", address, ref)
    async with sessions() as session:
        kept = await recipients.read_recipient(session, people[0])
        assert kept is not None
        kept_refs = {"email": kept.email_ref, "sms": kept.phone_ref}
        kept_refs["push"] = (await recipients.list_devices(session, people[0]))[0].token_ref
    assert kept_refs[channel] == ref
    assert [name for name, found in kept_refs.items() if found is not None] == [channel]


@pytest.mark.parametrize("state", ["cancelled", "failed"])
async def test_of_a_campaign_that_ended_nothing_more_is_written(
    sessions: Sessions, snapshot: Snapshot, people: list[str], state: str
) -> None:
    campaign = await insert_unprepared(sessions, category_of(), {"filter": crowd_of(people)})
    await snapshot.prepare_block(campaign)
    before = await messages_of(sessions, campaign)
    async with transaction(sessions) as session:
        await session.exec(update(Campaign).where(col(Campaign.id) == campaign).values(state=state))
    assert await prepare(snapshot, campaign) == [Block(0, done=True)]
    assert len(await messages_of(sessions, campaign)) == len(before)
    assert await ranges_of(sessions, campaign) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "draft"}, "was not launched"),
        ({"expires_at": None}, "was not launched"),
        ({"template_version": 7}, "template is not published"),
        ({"template": None}, "template is not published"),
        ({"category": "never-published"}, "category never-published"),
    ],
)
async def test_a_campaign_that_cannot_be_prepared_says_why(
    sessions: Sessions, snapshot: Snapshot, people: list[str], changes: dict[str, Any], words: str
) -> None:
    campaign = await insert_unprepared(sessions, category_of(), {"filter": crowd_of(people)}, **changes)
    with pytest.raises(CampaignUnreadyError, match=words):
        await snapshot.prepare_block(campaign)
    assert await messages_of(sessions, campaign) == []


async def test_what_is_not_there_is_named(sessions: Sessions, snapshot: Snapshot) -> None:
    with pytest.raises(CampaignUnreadyError, match="no campaign"):
        await snapshot.prepare_block(uuid.uuid4())
    campaign = await insert_unprepared(sessions, category_of(), {"list": str(uuid.uuid4())})
    with pytest.raises(UnknownAudienceError, match="no saved audience"):
        await snapshot.prepare_block(campaign)
