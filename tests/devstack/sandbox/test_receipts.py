"""The sandbox's receipts, read by the product's own parsers: the two signers were written apart."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from aiohttp import web
from pydantic import SecretStr

from devstack.sandbox.meta import ACCESS_TOKEN, PHONE_NUMBER_ID
from devstack.sandbox.sendgrid import API_KEY
from devstack.sandbox.server import Sandbox, SandboxOptions
from devstack.sandbox.twilio import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER
from notifications.providers.receipts import ForgedError, ReceiptEvent, WebhookRequest
from notifications.providers.reporting import ReceiptSource, build_receipt_sources
from notifications.settings import Settings
from tests.devstack.sandbox.conftest import SECRET

ORIGIN = "a56453a4-7db3-5408-8b23-96f8b4313634"


def source_of(provider: str) -> ReceiptSource:
    settings = Settings(dev_sandbox_url="http://127.0.0.1:1", dev_sandbox_secret=SecretStr(SECRET))
    return build_receipt_sources(settings)[provider]


class Webhook:
    """A server that keeps the requests it gets."""

    def __init__(self) -> None:
        self.received: asyncio.Queue[WebhookRequest] = asyncio.Queue()
        self.url = ""
        self.failures = 0

    async def take(self, request: web.Request) -> web.Response:
        if self.failures:
            self.failures -= 1
            return web.Response(status=503)
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = await request.read()
        url = str(request.url)
        self.received.put_nowait(WebhookRequest(url=url, headers=headers, body=body, received_at=datetime.now(UTC)))
        return web.Response()

    async def receipts(self, provider: str, count: int) -> list[ReceiptEvent]:
        source = source_of(provider)
        found: list[ReceiptEvent] = []
        while len(found) < count:
            found += source.parse_receipts(await asyncio.wait_for(self.received.get(), 10))
        await source.close()
        return found


@pytest.fixture
async def webhook() -> AsyncIterator[Webhook]:
    webhook = Webhook()
    app = web.Application()
    app.router.add_post("/hook", webhook.take)
    app.router.add_post("/webhooks/{provider}", webhook.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    webhook.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield webhook
    await runner.cleanup()


async def send(client: httpx.AsyncClient, provider: str, webhook: Webhook) -> None:
    if provider == "twilio":
        form = {"To": "+4915112345678", "From": FROM_NUMBER, "Body": "hello"}
        form["StatusCallback"] = f"{webhook.url}?correlation={ORIGIN}.1.1"
        url = f"/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
        answer = await client.post(url, data=form, auth=(ACCOUNT_SID, AUTH_TOKEN))
    elif provider == "sendgrid":
        answer = await mail(client, "ana@example.org")
    else:
        message: dict[str, Any] = {"messaging_product": "whatsapp", "to": "+4915112345678", "type": "text"}
        message |= {"text": {"body": "hello"}, "biz_opaque_callback_data": f"{ORIGIN}.1.1 key"}
        headers = {"Authorization": f"Bearer {ACCESS_TOKEN}"}
        answer = await client.post(f"/meta/v23.0/{PHONE_NUMBER_ID}/messages", json=message, headers=headers)
    assert answer.is_success


async def mail(client: httpx.AsyncClient, *addresses: str) -> httpx.Response:
    custom_args = {"tidings_correlation": f"{ORIGIN}.1.1"}
    document = {
        "personalizations": [{"to": [{"email": address}], "custom_args": custom_args} for address in addresses],
        "from": {"email": "hello@acme.example"},
        "subject": "Hello",
        "content": [{"type": "text/plain", "value": "hello"}],
        "headers": {"Message-ID": "<1@acme.example>"},
    }
    headers = {"Authorization": f"Bearer {API_KEY}"}
    return await client.post("/sendgrid/v3/mail/send", json=document, headers=headers)


async def turn(client: httpx.AsyncClient, provider: str, webhook: Webhook, **knobs: Any) -> None:
    answer = await client.put(f"/api/receipts/{provider}", json={"url": webhook.url, **knobs})
    assert answer.status_code == 200


WORDS = {"twilio": ["sent", "delivered"], "meta": ["sent", "delivered"], "sendgrid": ["delivered", "open"]}
STATUSES = {**WORDS, "sendgrid": ["delivered", "opened"]}


@pytest.mark.parametrize("provider", WORDS)
async def test_receipts_are_signed_and_in_order(client, webhook, provider):
    await turn(client, provider, webhook, statuses=WORDS[provider])
    await send(client, provider, webhook)
    receipts = await webhook.receipts(provider, 2)
    assert [receipt.status for receipt in receipts] == STATUSES[provider]
    assert {str(receipt.correlation.origin_id) for receipt in receipts} == {ORIGIN}


@pytest.mark.parametrize("provider", WORDS)
async def test_they_can_come_doubled_late_and_in_the_wrong_order(client, webhook, provider):
    await turn(client, provider, webhook, double=True, reorder=True, delay_ms=1, statuses=WORDS[provider])
    await send(client, provider, webhook)
    receipts = await webhook.receipts(provider, 4)
    first, second = STATUSES[provider]
    assert [receipt.status for receipt in receipts] == [second, second, first, first]
    assert len({receipt.receipt_id for receipt in receipts}) == 2


@pytest.mark.parametrize("provider", WORDS)
async def test_a_forged_one_is_not_believed(client, webhook, provider):
    await turn(client, provider, webhook, forge=True)
    await send(client, provider, webhook)
    with pytest.raises(ForgedError):
        await webhook.receipts(provider, 1)


@pytest.mark.parametrize(
    ("provider", "word", "code"),
    [("twilio", "undelivered", 30005), ("meta", "failed", 131026), ("sendgrid", "bounce", "5.2.1")],
)
async def test_a_bounce_has_the_vendors_code(client, webhook, provider, word, code):
    await turn(client, provider, webhook, statuses=[word], code=code)
    await send(client, provider, webhook)
    (receipt,) = await webhook.receipts(provider, 1)
    assert (receipt.status, receipt.reason) == ("bounced", f"{provider}_{code}")


async def test_events_of_one_moment_come_in_one_array(client, webhook):
    await turn(client, "sendgrid", webhook, statuses=["delivered"])
    await mail(client, "ana@example.org", "bounce@example.org", "blocked.1@example.org")
    request = await asyncio.wait_for(webhook.received.get(), 10)
    events = json.loads(request.body)
    assert request.body.endswith(b"]\r\n")
    assert [(event["event"], event.get("type")) for event in events] == [
        ("delivered", None),
        ("bounce", "bounce"),
        ("bounce", "blocked"),
    ]
    assert {event["tidings_correlation"] for event in events} == {f"{ORIGIN}.1.1"}
    assert len({event["sg_event_id"] for event in events}) == 3


async def test_without_an_address_they_go_below_the_sandboxs_own(kept_account, webhook):
    base = webhook.url.removesuffix("/hook")
    options = SandboxOptions(
        http_port=0, smtp_port=0, service_account=kept_account, webhooks=f"{base}/webhooks", secret="of this stack"
    )
    sandbox = Sandbox(options)
    await sandbox.start()
    try:
        async with httpx.AsyncClient(base_url=sandbox.http_url, trust_env=False) as client:
            for provider in WORDS:
                assert (await client.put(f"/api/receipts/{provider}")).status_code == 200
                await send(client, provider, webhook)
        received = [await asyncio.wait_for(webhook.received.get(), 10) for _ in range(6)]
    finally:
        await sandbox.stop()
    assert sorted({urlsplit(each.url).path for each in received}) == [f"/webhooks/{name}" for name in sorted(WORDS)]
    source = source_of("meta")
    with pytest.raises(ForgedError):  # it knows another secret
        source.parse_receipts(next(each for each in received if each.url.endswith("/meta")))


async def test_a_webhook_with_a_fault_is_called_again(client, webhook):
    webhook.failures = 1
    await turn(client, "twilio", webhook, statuses=["delivered"])
    await send(client, "twilio", webhook)
    assert len(await webhook.receipts("twilio", 1)) == 1


async def test_dropped_and_switched_off_ones_never_come(client, webhook):
    await turn(client, "twilio", webhook, drop=1)
    await send(client, "twilio", webhook)
    assert (await client.delete("/api/receipts/twilio")).status_code == 204
    await send(client, "twilio", webhook)
    await turn(client, "twilio", webhook, statuses=["read"])
    await send(client, "twilio", webhook)
    assert [receipt.status for receipt in await webhook.receipts("twilio", 1)] == ["opened"]
    assert webhook.received.empty()


async def test_wrong_knobs_are_said_at_once(client):
    assert (await client.put("/api/receipts/twilio", json={"drop": 2})).status_code == 422
    assert (await client.put("/api/receipts/smtp", json={})).status_code == 404
