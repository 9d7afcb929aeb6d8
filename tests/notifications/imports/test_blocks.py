"""Rows become recipients, each once, whatever dies, runs twice, or stands in the file twice."""

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import col, select

from notifications.addresses import address_ref
from notifications.database import Sessions, transaction
from notifications.profiles.profile import Profile
from notifications.queries.recipients import set_preference, upsert_recipient
from notifications.statuses import Channel, ImportState
from notifications.tables import Device, ImportRefusal, ImportRow, Preference, Recipient
from tests.api.support import unique
from tests.notifications.imports.support import HASH_KEY, Desk, counts, lines


@pytest.fixture
def desk(sessions: Sessions) -> Desk:
    return Desk(sessions)


async def recipient(sessions: Sessions, recipient_id: str) -> Recipient:
    async with sessions() as session:
        row = await session.get(Recipient, recipient_id)
    assert row is not None
    return row


async def refused(sessions: Sessions, import_id: Any) -> dict[int, str]:
    async with sessions() as session:
        rows = await session.exec(select(ImportRefusal).where(ImportRefusal.import_id == import_id))
        return {row.line: row.problem for row in rows}


async def choices(sessions: Sessions, recipient_id: str) -> dict[str, tuple[bool, str]]:
    async with sessions() as session:
        rows = await session.exec(select(Preference).where(Preference.recipient_id == recipient_id))
        return {row.channel: (row.opted_in, row.source) for row in rows}


async def test_rows_are_created_updated_or_unchanged(desk: Desk, sessions: Sessions) -> None:
    a, b, c, d = (unique("cus") for _ in range(4))
    async with transaction(sessions) as session:
        for each in (a, b):
            profile = Profile(
                recipient_id=each, name="Ana", email="ana@example.org", attributes={"plan": "pro", "n": 1}
            )
            await upsert_recipient(session, profile, hash_key=HASH_KEY)
    data = f"id,email,phone,attributes.plan\n{a},ana@example.org,,pro\n{b},b@Example.org,,free\n".encode()
    first = await desk.take(data)
    data += f"{c},,+4915112345678,\n{d},nobody,,\n".encode()
    row = await desk.take(data)
    assert counts(first) == {"unchanged": 1, "updated": 1}
    assert counts(row) == {"unchanged": 2, "created": 1, "refused": 1}
    assert (row.state, row.refused_by, row.finished_at is not None) == (ImportState.COMPLETED, {"email": 1}, True)
    assert await refused(sessions, row.id) == {5: "email: not an e-mail address: write it as name@example.org"}
    kept = await recipient(sessions, b)
    assert (kept.name, kept.email, kept.attributes) == ("Ana", "b@example.org", {"plan": "free", "n": 1})
    assert kept.email_ref == address_ref(HASH_KEY, Channel.EMAIL, "B@example.org")
    assert (await recipient(sessions, c)).phone_ref == address_ref(HASH_KEY, Channel.SMS, "+4915112345678")
    async with sessions() as session:
        assert (await session.exec(select(ImportRow).where(ImportRow.import_id == row.id))).first() is None


async def test_null_empties_and_takes_the_ref_with_it(desk: Desk, sessions: Sessions) -> None:
    a = unique("cus")
    document = {"id": a, "name": "Ana", "email": "a@example.org", "attributes": {"plan": "pro", 'a"\\b': 1, "x": 2}}
    await desk.take(lines(document))
    row = await desk.take(lines({"id": a, "email": None, "attributes": {"plan": None, 'a"\\b': None}}))
    kept = await recipient(sessions, a)
    assert (counts(row), kept.name) == ({"updated": 1}, "Ana")
    assert (kept.email, kept.email_ref, kept.attributes) == (None, None, {"x": 2})


@pytest.mark.parametrize("block", [1, 2, 100])
async def test_the_last_row_with_an_id_wins_and_the_others_are_counted(sessions: Sessions, block: int) -> None:
    a, b = unique("cus"), unique("cus")
    data = f"id,name,locale\n{a},one,de\n{b},x,\n{a},two,\n{a},three,\n".encode()
    row = await Desk(sessions, block=block).take(data)
    kept = await recipient(sessions, a)
    assert counts(row) == {"created": 2, "superseded": 2}
    assert (kept.name, kept.locale) == ("three", None)


async def test_a_dry_run_counts_and_changes_nothing(desk: Desk, sessions: Sessions) -> None:
    a, b = unique("cus"), unique("cus")
    await desk.take(lines({"id": a, "name": "Ana"}))
    row = await desk.take(
        f"id,name,consent.offers.sms\n{a},Eva,no\n{b},New,\n{b},Newer,\nc,{'x' * 5000},\n".encode(), dry_run=True
    )
    assert counts(row) == {"updated": 1, "created": 1, "superseded": 1, "refused": 1}
    assert row.choices == 1
    assert (await recipient(sessions, a)).name == "Ana"
    async with sessions() as session:
        assert await session.get(Recipient, b) is None
    assert await choices(sessions, a) == {}


async def test_a_newer_choice_is_kept_and_the_same_file_again_changes_nothing(desk: Desk, sessions: Sessions) -> None:
    a = unique("cus")
    async with transaction(sessions) as session:
        for channel, opted_in, month in ((Channel.EMAIL, False, 5), (Channel.SMS, False, 1)):
            await set_preference(
                session,
                a,
                "offers",
                channel,
                opted_in=opted_in,
                source="api",
                time=datetime(2026, month, 1, tzinfo=UTC),
            )
    data = (
        "id,consent.offers.email,consent.offers.sms,consent_source,consent_time\n"
        f"{a},true,true,fair,2026-03-01T00:00:00Z\n"
    ).encode()
    row = await desk.take(data)
    assert (row.choices, row.older_choices) == (1, 1)
    assert await choices(sessions, a) == {"email": (False, "api"), "sms": (True, "fair")}
    again = await desk.take(data)
    assert (counts(again), again.choices, again.older_choices) == ({"unchanged": 1}, 0, 1)


async def test_devices_are_registered_and_a_token_belongs_to_the_last_who_has_it(
    desk: Desk, sessions: Sessions
) -> None:
    a, b, c = sorted(unique("cus") for _ in range(3))
    t1, t2 = unique("token"), unique("token")

    def device(token: str, device_id: str = "d") -> list[dict[str, str]]:
        return [{"id": device_id, "token": token, "platform": "android"}]

    await desk.take(lines({"id": a, "devices": device(t1)}))
    row = await desk.take(lines({"id": c, "devices": device(t1)}, {"id": b, "devices": device(t1) + device(t2, "e")}))
    assert (counts(row), row.devices) == ({"created": 2}, 2)
    async with sessions() as session:
        found = (await session.exec(select(Device).where(col(Device.recipient_id).in_((a, b, c))))).all()
    state = {(each.recipient_id, each.id): (each.token, each.disabled_reason) for each in found}
    assert state == {(a, "d"): (t1, "moved"), (b, "d"): (t1, None), (b, "e"): (t2, None)}
    assert {each.token_ref for each in found} == {address_ref(HASH_KEY, Channel.PUSH, t) for t in (t1, t2)}
    assert (await desk.take(lines({"id": b, "devices": device(t1)}))).devices == 0


async def test_what_only_the_database_refuses_takes_no_other_row_with_it(sessions: Sessions) -> None:
    """The column of a device's id has 255 characters; the check of profiles allows more."""
    ids = [unique("cus") for _ in range(7)]
    documents: list[dict[str, Any]] = [{"id": each} for each in ids]
    documents[4]["devices"] = [{"id": "d" * 300, "token": "t", "platform": "ios"}]
    row = await Desk(sessions, block=7).take(lines(*documents))
    assert (counts(row), row.refused_by) == ({"created": 6, "refused": 1}, {"row": 1})
    assert await refused(sessions, row.id) == {5: "row: holds a text, number or time that PostgreSQL cannot store"}


async def test_two_at_once_and_one_that_dies_write_and_count_each_row_once(sessions: Sessions) -> None:
    ids = [unique("cus") for _ in range(40)]
    desk = Desk(sessions, block=4)
    import_id = await desk.upload(b"id,name\n" + b"".join(f"{each},x\n".encode() for each in ids))
    dying = asyncio.create_task(desk.finish(import_id))
    for _ in range(3):
        await desk.blocks.advance(import_id)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    await asyncio.gather(*(Desk(sessions, block=size).finish(import_id) for size in (3, 5)))
    row = await desk.get(import_id)
    assert (row.state, counts(row), row.rows) == (ImportState.COMPLETED, {"created": 40}, 40)


async def test_two_imports_of_the_same_people_wait_for_each_other(sessions: Sessions) -> None:
    ids = [unique("cus") for _ in range(60)]
    forward = "id,name\n" + "".join(f"{each},forward\n" for each in ids)
    backward = "id,locale\n" + "".join(f"{each},de\n" for each in reversed(ids))
    rows = await asyncio.gather(*(Desk(sessions, block=7).take(text.encode()) for text in (forward, backward)))
    assert sum(row.created for row in rows) == 60
    assert sum(row.updated for row in rows) == 60
    for each in ids:
        kept = await recipient(sessions, each)
        assert (kept.name, kept.locale) == ("forward", "de")


async def test_a_category_that_is_gone_refuses_the_rows_and_says_so(desk: Desk, sessions: Sessions) -> None:
    import_id = await desk.upload(f"id,consent.offers.email\n{unique('cus')},no\n".encode())
    desk.published.categories = {}
    row = await desk.finish(import_id)
    assert counts(row) == {"refused": 1}
    assert "no category 'offers'" in (await refused(sessions, import_id))[2]


async def test_an_import_that_is_not_there_is_finished(desk: Desk) -> None:
    progress, _ = await desk.blocks.advance(uuid.uuid4())
    assert progress.finished
