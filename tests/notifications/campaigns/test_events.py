"""Campaigns launched and cancelled by events, in the transaction that stores a batch: once, however often they come."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select

from notifications.campaigns.events import CampaignEvents, TouchedCampaign
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions
from notifications.events import RejectedError, parse
from notifications.events.intent import Interpreter
from notifications.ids import event_uuid
from notifications.ledger import Ledger
from notifications.queries.campaigns import commands_of
from notifications.queries.intake import Arrival, IntakeStore, Stored
from notifications.settings import Settings
from notifications.tables import RejectedEvent
from tests.support.campaigns import campaign_of, change_campaign
from tests.support.events import CATALOGUE, SOURCE, call_off, event, launch, record, unique

Store = Callable[..., Awaitable[Stored]]


@pytest.fixture
async def take(sessions: Sessions) -> Store:
    """Stores events as a bridge does, each batch in a partition of its own."""
    await apply_folder("catalogue", sessions)
    store = IntakeStore(
        sessions,
        ledger=Ledger(sessions, process="test"),
        campaigns=CampaignEvents(CatalogueStore(sessions).current, Settings()),
        hash_key=b"0123456789abcdef",
    )

    async def take(*events: dict[str, Any]) -> Stored:
        partition = int(unique("1")[-7:], 16)
        return await store.store([_arrival(one, offset, partition) for offset, one in enumerate(events)])

    return take


def _arrival(whole: dict[str, Any], offset: int, partition: int) -> Arrival:
    topic = "campaigns" if str(whole["type"]).startswith("tidings.") else "transactional.notifications"
    found = record(whole, topic=topic, offset=offset, partition=partition)
    try:
        return Arrival(found, Interpreter().interpret(parse(found), CATALOGUE, topic=topic))
    except RejectedError as error:
        return Arrival(found, error)


def _id(whole: dict[str, Any]) -> UUID:
    return event_uuid(SOURCE, str(whole["id"]))


async def _why(sessions: Sessions, whole: dict[str, Any]) -> list[tuple[str, str]]:
    statement = select(RejectedEvent).where(RejectedEvent.event_id == whole["id"]).order_by(col(RejectedEvent.id))
    async with sessions() as session:
        return [(row.reason, row.detail) for row in await session.exec(statement)]


async def _commands(sessions: Sessions, campaign_id: UUID) -> list[tuple[str, str]]:
    async with sessions() as session:
        return [(row.command, row.by) for row in await commands_of(session, campaign_id)]


async def test_a_launch_is_a_campaign_that_is_to_start(take: Store, sessions: Sessions) -> None:
    made = launch(sendat="2099-03-01T09:00:00+01:00", data={"expire_after": "48h", "rate": {"per_second": 200}})
    stored = await take(made)
    assert stored.campaigns == [TouchedCampaign(_id(made), 1, "Spring sale", ended=False)]
    assert (stored.starts, stored.rejected) == ([], [])
    campaign = await campaign_of(sessions, _id(made))
    assert (campaign.state, campaign.type, campaign.per_second) == ("scheduled", "promotional", 200)
    assert campaign.starts_at == datetime(2099, 3, 1, 8, tzinfo=UTC)
    assert campaign.expires_at == campaign.starts_at + timedelta(hours=48)
    assert (campaign.source, campaign.event_id, campaign.created_by) == (SOURCE, made["id"], SOURCE)
    assert (campaign.template, campaign.template_version) == (f"campaign-{campaign.id}", 1)
    assert await _commands(sessions, campaign.id) == [("create", SOURCE), ("launch", SOURCE)]


async def test_a_repeat_changes_nothing_and_is_told_again(take: Store, sessions: Sessions) -> None:
    made = launch()
    first = await take(made, made)
    assert len(set(first.campaigns)) == 1
    before = await campaign_of(sessions, _id(made))
    assert (await take({**made, "time": "2026-11-23T00:00:00Z"})).campaigns == first.campaigns[:1]
    assert await campaign_of(sessions, _id(made)) == before
    assert len(await _commands(sessions, _id(made))) == 2
    await change_campaign(sessions, _id(made), state="completed")
    assert (await take(made)).campaigns == []


async def test_an_id_belongs_to_one_payload(take: Store, sessions: Sessions) -> None:
    made, bought = launch(), event()
    await take(made, bought)
    other = launch(id=made["id"], data={"name": "Summer sale"})
    swapped = [event(id=made["id"]), launch(id=bought["id"])]
    stored = await take(other, *swapped)
    assert (stored.campaigns, stored.starts) == ([], [])
    assert [reason for reason, _ in await _why(sessions, made)] == ["id_reused", "id_reused"]
    assert [reason for reason, _ in await _why(sessions, bought)] == ["id_reused"]
    assert (await campaign_of(sessions, _id(made))).name == "Spring sale"


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ({"name": ""}, "data.name: "),
        ({"audience": {"recipients": ["a"], "all": True}}, "data.audience"),
        ({"audience": {"list": str(uuid4())}}, "data.audience: "),
        ({"category": "no-such"}, "data.category: "),
        ({"content": None, "template": "no-such"}, "data.template: "),
        ({"template": "spring-sale"}, "template"),
        ({"unknown": 1}, "data.unknown: "),
    ],
)
async def test_what_cannot_be_a_campaign_is_rejected(
    take: Store, sessions: Sessions, data: dict[str, Any], hint: str
) -> None:
    good, bad = launch(), launch(data=data)
    stored = await take(bad, good)
    assert [one.id for one in stored.campaigns] == [_id(good)]
    ((reason, detail),) = await _why(sessions, bad)
    assert reason == "schema"
    assert hint in detail
    mended = launch(id=bad["id"])
    assert [one.id for one in (await take(mended)).campaigns] == [_id(mended)]


async def test_a_launch_without_a_body_is_rejected(take: Store, sessions: Sessions) -> None:
    bad = launch() | {"data": [1]}
    await take(bad)
    ((reason, detail),) = await _why(sessions, bad)
    assert (reason, "POST /v1/campaigns" in detail) == ("schema", True)


async def test_a_cancel_ends_the_campaign(take: Store, sessions: Sessions) -> None:
    made = launch(sendat="2099-01-01T00:00:00Z")
    await take(made)
    asked = call_off(_id(made), source="https://acme.example/office")
    stored = await take(asked)
    assert stored.campaigns == [TouchedCampaign(_id(made), 1, "Spring sale", ended=True)]
    campaign = await campaign_of(sessions, _id(made))
    assert campaign.state == "cancelled"
    assert campaign.cancelled_at is not None
    assert (await _commands(sessions, campaign.id))[-1] == ("cancel", "https://acme.example/office")
    assert (await take(asked)).campaigns == stored.campaigns  # told again, changed once
    assert len(await _commands(sessions, campaign.id)) == 3
    assert (await take(made)).campaigns == stored.campaigns  # launched again it stays cancelled


async def test_a_cancel_in_the_batch_of_its_launch(take: Store, sessions: Sessions) -> None:
    made = launch(id=unique("z"))
    stored = await take(call_off(_id(made), id=unique("a")), made)
    assert stored.rejected == []
    assert (await campaign_of(sessions, _id(made))).state == "cancelled"


async def test_a_cancel_of_what_has_ended_changes_nothing(take: Store, sessions: Sessions) -> None:
    made = launch()
    await take(made)
    await change_campaign(sessions, _id(made), state="completed")
    stored = await take(call_off(_id(made)))
    assert (stored.campaigns, stored.rejected) == ([], [])
    assert (await campaign_of(sessions, _id(made))).state == "completed"


async def test_a_cancel_of_an_unknown_campaign_is_rejected(take: Store, sessions: Sessions) -> None:
    stranger = uuid4()
    asked = call_off(stranger)
    assert (await take(asked)).campaigns == []
    ((reason, detail),) = await _why(sessions, asked)
    assert reason == "unknown_campaign"
    assert str(stranger) in detail
