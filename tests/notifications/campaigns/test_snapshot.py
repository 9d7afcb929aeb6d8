"""The snapshot: everybody of the audience once, in numbered rows, however it is interrupted."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlmodel import col, select, update

from notifications.audiences.lists import UploadedIds
from notifications.audiences.store import save_filter, save_list
from notifications.campaigns.accounts import count
from notifications.campaigns.snapshot import Block, Snapshot
from notifications.database import Sessions, transaction
from notifications.profiles.profile import Device, Profile
from notifications.queries import recipients
from notifications.statuses import Channel
from notifications.tables import Message, OutboxEntry, Recipient
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
from tests.support.postgres import fresh_database, opened


async def test_a_filter_is_written_block_by_block_and_everybody_once(
    sessions: Sessions, snapshot: Snapshot, people: list[str]
) -> None:
    wanted = {"field": "attributes.wanted", "op": "eq", "value": True}
    campaign = await insert_unprepared(sessions, category_of(), {"filter": {"all": [crowd_of(people), wanted]}})
    blocks = await prepare(snapshot, campaign)
    rows = await messages_of(sessions, campaign)
    assert [row.recipient_id for row in rows] == [name for number, name in enumerate(people) if number % 3]
    assert [row.seq for row in rows] == list(range(1, 8))
    assert sum(block.rows for block in blocks) == 7
    assert await ranges_of(sessions, campaign) == [(1, 1, 7, 0)]
    assert (await campaign_of(sessions, campaign)).prepared_at is not None
    assert await prepare(snapshot, campaign) == [Block(0, done=True)]
    assert len(await messages_of(sessions, campaign)) == (await count(sessions, campaign)).recipients == 7


async def test_a_message_has_what_sending_it_needs(sessions: Sessions, snapshot: Snapshot, people: list[str]) -> None:
    starts_at = datetime.now(UTC) + timedelta(minutes=5)
    category = category_of("opted_out")
    campaign = await insert_unprepared(sessions, category, {"recipients": people[:2]}, starts_at=starts_at)
    async with transaction(sessions) as session:
        await recipients.set_preference(session, people[0], category.name, Channel.EMAIL, opted_in=True, source="api")
    assert await prepare(snapshot, campaign) == [Block(2, done=True)]
    row, skipped = await messages_of(sessions, campaign)
    given = await campaign_of(sessions, campaign)
    address = f"{people[0].partition('-')[0]}-0@example.org"
    assert row.model_dump(exclude={"created_at", "updated_at"}) == Message(
        origin_id=campaign,
        seq=1,
        origin_kind="campaign",
        type="promotional",
        category=category.name,
        channel="email",
        definition=str(given.template),
        definition_version=3,
        recipient_id=people[0],
        address=address,
        address_ref=refer(Channel.EMAIL, address),
        locale="pt",
        consent="tidings",
        duplicates="at_most_once",
        retry_for=timedelta(minutes=30),
        expires_at=given.expires_at,  # type: ignore[arg-type]
        due_at=starts_at,
    ).model_dump(exclude={"created_at", "updated_at"})
    found = (skipped.status, skipped.reason, skipped.version, skipped.due_at, skipped.address, skipped.locale)
    assert found == ("skipped", "opted_out", 1, None, None, "de")


async def test_a_list_has_those_whom_nobody_knows_too(
    sessions: Sessions, snapshot: Snapshot, people: list[str]
) -> None:
    strangers = [f"{people[0]}-stranger-{number}" for number in range(6)]
    with UploadedIds() as ids:
        ids.feed("\n".join([*people, *strangers, people[3]]).encode(), end=True)
        async with transaction(sessions) as session:
            saved = await save_list(session, "spring", ids)
    assert saved.size == 17
    campaign = await insert_unprepared(sessions, category_of(), {"list": str(saved.id)})
    assert [block.rows for block in await prepare(snapshot, campaign)] == [4, 4, 4, 4, 1]
    rows = await messages_of(sessions, campaign)
    assert {row.recipient_id: row.reason for row in rows} == {
        **dict.fromkeys(people),
        **dict.fromkeys(strangers, "unknown_recipient"),
    }


async def test_a_saved_filter_is_read_as_it_stands_there(
    sessions: Sessions, snapshot: Snapshot, people: list[str]
) -> None:
    async with transaction(sessions) as session:
        saved = await save_filter(session, "crowd", crowd_of(people))
    campaign = await insert_unprepared(sessions, category_of(), {"list": str(saved.id)})
    await prepare(snapshot, campaign)
    assert [row.recipient_id for row in await messages_of(sessions, campaign)] == people


@pytest.fixture
async def alone(postgres_server: str) -> AsyncIterator[Sessions]:
    async with fresh_database(postgres_server) as url, opened(url) as sessions:
        yield sessions


@pytest.mark.parametrize(("count", "blocks"), [(0, 1), (3, 1), (4, 2), (9, 3)])
async def test_everybody_is_everybody(alone: Sessions, count: int, blocks: int) -> None:
    await insert_recipients(alone, ({"id": f"cus_{number}", "email": "a@example.org"} for number in range(count)))
    campaign = await insert_unprepared(alone, category_of(), {"all": True})
    assert len(await prepare(Snapshot(alone, HASH_KEY, block=4), campaign)) == blocks
    assert [row.seq for row in await messages_of(alone, campaign)] == list(range(1, count + 1))
    assert await ranges_of(alone, campaign) == ([(1, 1, count, 0)] if count else [])


async def test_ranges_cover_every_number_once(sessions: Sessions, snapshot: Snapshot) -> None:
    crowd = uuid.uuid4().hex
    await insert_recipients(
        sessions, ({"id": f"{crowd}-{number}", "attributes": {"crowd": crowd}} for number in range(4_100))
    )
    audience = {"filter": {"field": "attributes.crowd", "op": "eq", "value": crowd}}
    campaign = await insert_unprepared(sessions, category_of(), audience, round=2)
    await prepare(Snapshot(sessions, HASH_KEY), campaign)
    assert await ranges_of(sessions, campaign) == [(2, 1, 2048, 0), (2, 2049, 4096, 0), (2, 4097, 4100, 0)]


async def test_push_has_a_row_for_each_device(sessions: Sessions, snapshot: Snapshot, people: list[str]) -> None:
    tokens = tuple(Device(f"d{number}", f"{people[0]}-{number}", "web") for number in range(2))
    async with transaction(sessions) as session:
        await recipients.upsert_recipient(session, Profile(recipient_id=people[0], devices=tokens), hash_key=HASH_KEY)
    campaign = await insert_unprepared(sessions, category_of(), {"recipients": people[:2]}, channel="push")
    await prepare(snapshot, campaign)
    assert [
        (row.recipient_id, row.device_id, row.address, row.reason) for row in await messages_of(sessions, campaign)
    ] == [
        (people[0], "d0", f"{people[0]}-0", None),
        (people[0], "d1", f"{people[0]}-1", None),
        (people[1], None, None, "no_address"),
    ]
    assert (await count(sessions, campaign)).recipients == 2


async def test_times_count_from_the_start_of_the_campaign(
    sessions: Sessions, snapshot: Snapshot, people: list[str]
) -> None:
    starts_at = datetime(2027, 3, 1, tzinfo=UTC)
    async with transaction(sessions) as session:
        for name, day in zip(people[:2], ("2027-02-01", "2027-01-20"), strict=True):
            await session.exec(
                update(Recipient).where(col(Recipient.id) == name).values(attributes={"bought": day, "who": name})
            )
    recent = {"field": "attributes.bought", "op": "gt", "value": {"now": "-P30D"}}
    them = {"field": "attributes.who", "op": "in", "value": people[:2]}
    campaign = await insert_unprepared(
        sessions, category_of(), {"filter": {"all": [recent, them]}}, starts_at=starts_at
    )
    await prepare(snapshot, campaign)
    assert [row.recipient_id for row in await messages_of(sessions, campaign)] == people[:1]


@pytest.mark.parametrize(("outcomes", "told"), [("all", [(2, "skipped", "unknown_recipient", 1)]), ("campaign", [])])
async def test_who_is_skipped_is_told_where_it_was_asked_for(
    sessions: Sessions, snapshot: Snapshot, people: list[str], outcomes: str, told: list[Any]
) -> None:
    audience = {"recipients": [people[0], f"{people[0]}-stranger"]}
    campaign = await insert_unprepared(sessions, category_of(), audience, outcomes=outcomes)
    await prepare(snapshot, campaign)
    async with sessions() as session:
        entries = await session.exec(select(OutboxEntry).where(OutboxEntry.origin_id == campaign))
        found = [(entry.seq, entry.status, entry.reason, entry.version) for entry in entries]
    assert found == told
