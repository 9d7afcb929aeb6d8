"""What vendors report, from the sandbox through the webhook into the ledger."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copytree
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from notifications.catalogue.publish import apply_folder
from notifications.statuses import Channel
from notifications.tables import ReceiptRecord, Suppression
from tests.support.integration import CATALOGUE_FOLDER, until
from tests.support.reporting import Reporting, running_reporting

ORDER = {"order_id": "2207", "carrier": "DHL", "tracking_url": "https://acme.example/t/2207"}
CART = {
    "items": [{"name": "Desk lamp", "price": "39.00"}],
    "total": "39.00",
    "currency": "EUR",
    "cart_url": "https://acme.example/cart",
}
# The vendor's event, its channel, and a report of it that a person read the message.
VENDORS: dict[str, tuple[dict[str, Any], str, list[str]]] = {
    "twilio": ({"type": "auth.otp", "data": {"code": "482915"}}, "sms", ["sent", "delivered", "read"]),
    "meta": ({"type": "order.shipped", "data": ORDER}, "whatsapp", ["sent", "delivered", "read"]),
    "sendgrid": ({"type": "payment.succeeded"}, "email", ["processed", "delivered", "open"]),
}


@pytest.fixture(scope="module")
async def running(postgres_server: str, temporal_address: str) -> AsyncIterator[Reporting]:
    async with running_reporting(postgres_server, temporal_address) as running:
        yield running


@pytest.fixture
async def reporting(running: Reporting) -> AsyncIterator[Reporting]:
    yield running
    await running.quiet()


async def send(reporting: Reporting, vendor: str, **recipient: Any) -> UUID:
    attributes, _, _ = VENDORS[vendor]
    return await reporting.house.send(recipient=await reporting.house.recipient(**recipient), **attributes)


async def until_status(reporting: Reporting, notification: UUID, channel: str, status: str) -> None:
    async def has_it() -> bool:
        return (await reporting.house.statuses(notification)).get(channel) == status

    await until(has_it)


async def receipts_of(reporting: Reporting, notification: UUID) -> int:
    async with reporting.house.sessions() as session:
        return len((await session.exec(select(ReceiptRecord).where(ReceiptRecord.origin_id == notification))).all())


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_signed_receipt_moves_the_message(reporting: Reporting, vendor: str):
    await reporting.report(vendor)
    notification = await send(reporting, vendor)
    await until_status(reporting, notification, VENDORS[vendor][1], "delivered")
    assert await reporting.house.result(notification) == "done"


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_forged_one_is_refused_and_counted_and_changes_nothing(reporting: Reporting, vendor: str):
    _, channel, words = VENDORS[vendor]
    before = await reporting.counted(vendor, "forged")
    await reporting.report(vendor, forge=True, statuses=words[1:2])
    notification = await send(reporting, vendor)
    await reporting.until_counted(vendor, "forged", before + 1)
    assert await reporting.house.result(notification) == "done"
    assert (await reporting.house.statuses(notification))[channel] == "sent"
    assert await receipts_of(reporting, notification) == 0


@pytest.mark.parametrize("vendor", VENDORS)
async def test_doubled_and_in_the_wrong_order_they_end_at_the_highest(reporting: Reporting, vendor: str):
    _, channel, words = VENDORS[vendor]
    before = await reporting.counted(vendor, "doubled"), await reporting.counted(vendor, "unchanged")
    await reporting.report(vendor, double=True, reorder=True, statuses=words[1:])
    notification = await send(reporting, vendor)
    await reporting.until_counted(vendor, "doubled", before[0] + 2)
    assert (await reporting.house.statuses(notification))[channel] == "opened"
    assert await reporting.counted(vendor, "unchanged") == before[1] + 1
    assert await receipts_of(reporting, notification) == 2


@pytest.mark.parametrize("vendor", VENDORS)
async def test_one_that_comes_before_the_vendors_answer_is_not_lowered_by_it(reporting: Reporting, vendor: str):
    _, channel, words = VENDORS[vendor]
    await reporting.fault(vendor, latency_ms=1500)
    await reporting.report(vendor, statuses=words[1:2])
    notification = await send(reporting, vendor)
    await until_status(reporting, notification, channel, "delivered")
    seq = next(each.seq for each in await reporting.house.messages(notification) if each.channel == channel)
    assert all(attempt[0] != seq for attempt in await reporting.house.attempts(notification)), "it was not early"
    assert await reporting.house.result(notification) == "done"
    assert (await reporting.house.statuses(notification))[channel] == "delivered"
    assert (seq, 1, "accepted") in await reporting.house.attempts(notification)


WAITING = """
event: order.dispatched
type: transactional
category: orders
default_locale: en
routing: {mode: fallback, channels: [whatsapp, sms], wait_for_receipt: 6h}
data: {type: object}
templates:
  whatsapp: {en: {vendor_templates: {meta: {name: order_shipped, language: en_US}}, parameters: []}}
  sms: {en: {body: On its way.}}
"""


async def waiting(reporting: Reporting, folder: Path) -> UUID:
    """Send one that waits for WhatsApp's receipt."""
    copytree(CATALOGUE_FOLDER, folder, dirs_exist_ok=True)
    (folder / "order.dispatched").mkdir()
    (folder / "order.dispatched" / "definition.yaml").write_text(WAITING, encoding="utf-8")
    example = {"specversion": "1.0", "id": "1", "source": "/x", "type": "order.dispatched", "data": {}}
    (folder / "order.dispatched" / "example.json").write_text(json.dumps(example | {"recipient": "cus_42"}))
    await apply_folder(folder, reporting.house.sessions)
    recipient = await reporting.house.recipient()
    return await reporting.house.send(type="order.dispatched", recipient=recipient, data={})


async def test_a_fallback_that_waits_hears_of_the_delivery(reporting: Reporting, tmp_path: Path):
    await reporting.report("meta", delay_ms=500)
    notification = await waiting(reporting, tmp_path)
    assert await reporting.house.result(notification) == "done"
    assert await reporting.house.statuses(notification) == {"whatsapp": "delivered", "sms": "skipped"}


async def test_a_fallback_that_waits_moves_on_at_a_failure(reporting: Reporting, tmp_path: Path):
    await reporting.report("meta", delay_ms=500, statuses=["failed"], code=131026)
    notification = await waiting(reporting, tmp_path)

    async def is_waiting() -> bool:
        row = await reporting.house.notification(notification)
        return row.wake_at is not None and row.wake_at > datetime.now(UTC) + timedelta(hours=5)

    await until(is_waiting)  # nobody looks for a workflow that oversleeps before the time-out
    assert await reporting.house.result(notification) == "done"
    assert await reporting.house.statuses(notification) == {"whatsapp": "bounced", "sms": "sent"}


async def test_a_message_whose_answer_was_lost_is_settled_and_not_sent_again(reporting: Reporting):
    recipient = await reporting.house.recipient()
    await reporting.house.opt_in(recipient, "offers", Channel.EMAIL)
    await reporting.fault("sendgrid", reset="after")
    await reporting.report("sendgrid", delay_ms=500)
    notification = await reporting.house.send(type="cart.abandoned", recipient=recipient, data=CART)
    assert await reporting.house.result(notification) == "done"
    await until_status(reporting, notification, "email", "delivered")
    inbox = await reporting.sandbox.get("/api/inbox", params={"to": f"{recipient}@example.org"})
    assert len(inbox.json()["items"]) == 1


async def test_stop_is_heeded_and_start_lifts_it(reporting: Reporting):
    number = "+4915112345600"
    await write_back(reporting, number, "STOP")
    stopped = await send(reporting, "twilio", phone=number)
    assert await reporting.house.result(stopped) == "skipped"
    (message,) = await reporting.house.messages(stopped)
    assert message.reason == "suppressed"
    await write_back(reporting, number, "Start", forge=True)
    assert await reporting.house.result(await send(reporting, "twilio", phone=number)) == "skipped"
    await write_back(reporting, number, "Start", advanced=True)
    assert await reporting.house.result(await send(reporting, "twilio", phone=number)) == "done"


async def test_twilios_word_that_a_recipient_opted_out_is_believed(reporting: Reporting):
    number = "+15005550004"
    first = await send(reporting, "twilio", phone=number)
    assert await reporting.house.result(first) == "failed"
    (message,) = await reporting.house.messages(first)
    assert message.reason == "twilio_21610"
    async with reporting.house.sessions() as session:
        statement = select(Suppression).where(Suppression.address_ref == message.address_ref)
        (suppression,) = (await session.exec(statement)).all()
    assert (suppression.channel, suppression.scope, suppression.reason) == ("sms", "all", "stopped")
    assert await reporting.house.result(await send(reporting, "twilio", phone=number)) == "skipped"


async def write_back(reporting: Reporting, number: str, body: str, *, forge: bool = False, **more: Any) -> None:
    written = {"from": number, "body": body, "forge": forge, "url": "https://tidings.example/webhooks/twilio/replies"}
    answer = await reporting.sandbox.post("/api/replies/twilio", json=written | more)
    assert answer.json() == {"status": 403 if forge else 200}


async def test_a_bounce_suppresses_the_address(reporting: Reporting):
    await reporting.report("sendgrid")
    address = "bounce@example.org"
    first = await send(reporting, "sendgrid", email=address)
    await until_status(reporting, first, "email", "bounced")
    (message,) = [each for each in await reporting.house.messages(first) if each.channel == "email"]
    assert message.reason == "sendgrid_5.1.1"
    async with reporting.house.sessions() as session:
        statement = select(Suppression).where(Suppression.address_ref == message.address_ref)
        (suppression,) = (await session.exec(statement)).all()
    assert (suppression.channel, suppression.scope, suppression.reason) == ("email", "all", "hard_bounce")
    second = await send(reporting, "sendgrid", email=address)
    assert await reporting.house.result(second) == "done"  # by push
    assert (await reporting.house.statuses(second))["email"] == "skipped"
