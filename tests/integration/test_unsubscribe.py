"""From a promotional event to the mail, to the link in it, to the next event that is not sent."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from notifications.statuses import Channel
from tests.support.reporting import Reporting, running_reporting

CART = {
    "items": [{"name": "Desk lamp", "price": "39.00"}],
    "total": "39.00",
    "currency": "EUR",
    "cart_url": "https://acme.example/cart",
}
PUBLIC_URL = "https://tidings.example"
PREFETCH = {"Sec-Purpose": "prefetch", "User-Agent": "mail scanner"}


@pytest.fixture
async def running(postgres_server: str, temporal_address: str) -> AsyncIterator[Reporting]:
    settings = {"email_providers": ("smtp",), "public_url": PUBLIC_URL}
    async with running_reporting(postgres_server, temporal_address, **settings) as running:
        yield running


async def sent(running: Reporting, recipient: str, **event: Any) -> tuple[dict[str, str], dict[str, str | None]]:
    """The statuses of one event's messages by channel, and their reasons."""
    notification = await running.house.send(recipient=recipient, **event)
    await running.house.result(notification)
    reasons = {each.channel: each.reason for each in await running.house.messages(notification)}
    return await running.house.statuses(notification), reasons


async def mails(sandbox: httpx.AsyncClient, recipient: str) -> list[dict[str, Any]]:
    inbox = (await sandbox.get("/api/inbox", params={"channel": "email", "to": f"{recipient}@example.org"})).json()
    return [entry["content"] for entry in inbox["items"]]


async def test_the_link_of_a_promotional_mail_stops_the_next_one_and_nothing_else(running: Reporting) -> None:
    recipient = await running.house.recipient(locale="en")
    await running.house.opt_in(recipient, "offers", Channel.EMAIL)
    assert (await sent(running, recipient, type="cart.abandoned", data=CART))[0] == {"email": "sent"}

    (mail,) = await mails(running.sandbox, recipient)
    headers = {name: value for name, value in mail["headers"] if name.startswith(("List-", "Auto-"))}
    link = headers["List-Unsubscribe"].removeprefix("<").removesuffix(">")
    assert headers == {"List-Unsubscribe": f"<{link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    assert link.startswith(f"{PUBLIC_URL}/u/")
    assert f"Unsubscribe: {link}" in mail["text"]
    assert f'href="{link}/preferences"' in mail["html"]

    path = link.removeprefix(PUBLIC_URL)
    for method in ("GET", "HEAD"):
        assert (await running.api.request(method, path, headers=PREFETCH)).status_code == 200
    assert (await sent(running, recipient, type="cart.abandoned", data=CART))[0] == {"email": "sent"}

    for _ in range(2):
        answer = await running.api.post(path, data={"List-Unsubscribe": "One-Click"})
        assert (answer.status_code, answer.is_redirect) == (200, False)
    statuses, reasons = await sent(running, recipient, type="cart.abandoned", data=CART)
    assert (statuses, reasons) == ({"email": "skipped"}, {"email": "opted_out"})
    assert (await sent(running, recipient))[0]["email"] == "sent", "a receipt still arrives"
    assert len(await mails(running.sandbox, recipient)) == 3
