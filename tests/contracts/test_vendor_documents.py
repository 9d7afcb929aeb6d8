"""Requests against the vendors' own OpenAPI documents, where those lie beside the repository."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from notifications.providers.base import EmailContent, PushContent, SmsContent, WhatsAppContent
from tests.contracts.support.http_server import Received
from tests.contracts.support.vendors import outgoing, running

DOCUMENTS = Path(__file__).parents[3] / "shared" / "contracts"
FILES = {
    "sendgrid": "sendgrid_mail_v3.openapi.json",
    "fcm": "fcm_v1.openapi.json",
    "twilio": "twilio_messages.patched.openapi.json",
    "meta": "meta_whatsapp_v23.patched.openapi.json",
}
pytestmark = pytest.mark.skipif(
    not DOCUMENTS.is_dir(), reason="the vendors' OpenAPI documents are not beside the repository"
)

TEMPLATE = {"meta": {"name": "order_shipped", "language": "en_US"}}
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("sendgrid", {}),
    ("sendgrid", {"recipient_name": None}),
    ("sendgrid", {"content": EmailContent("Grüße 🎉", None, "x", "Shop, Inc <a@b.example>", "c@d.example")}),
    ("sendgrid", {"content": EmailContent("s", "<p>x</p>", "", headers={"List-Unsubscribe": "<https://u.example>"})}),
    ("fcm", {}),
    ("fcm", {"ttl": None}),
    ("fcm", {"ttl": timedelta(days=400)}),
    ("fcm", {"ttl": timedelta(seconds=-1)}),
    ("fcm", {"content": PushContent("", "")}),
    ("fcm", {"content": PushContent("Grüße 🎉", "x", "app://screen/1", {"a": "1", "b": ""})}),
    ("twilio", {}),
    ("twilio", {"ttl": None}),
    ("twilio", {"ttl": timedelta(days=3)}),
    ("twilio", {"content": SmsContent("Grüße 🎉 & more=1", 1, "UCS-2", "ACME")}),
    ("twilio", {"content": SmsContent("x", 1, "GSM-7", "MG" + "0" * 32)}),
    ("meta", {}),
    ("meta", {"content": WhatsAppContent(TEMPLATE, ())}),
    ("meta", {"content": WhatsAppContent(TEMPLATE, ("Grüße 🎉", "line\nbreak", "a" * 1024))}),
]


@cache
def document(name: str) -> OpenAPI:
    return OpenAPI.from_dict(json.loads((DOCUMENTS / FILES[name]).read_text(encoding="utf-8")))


def violations(name: str, request: Received, body: bytes) -> list[str]:
    host = document(name).spec["servers"][0]["url"]
    path = urlsplit(request.target).path
    content_type = request.headers["content-type"]
    mock = MockRequest(host, request.method, path, data=body, headers=dict(request.headers), content_type=content_type)
    return [repr(error.__cause__ or error) for error in document(name).iter_request_errors(mock)]


@pytest.mark.parametrize(("name", "changes"), VARIANTS, ids=[f"{name}-{n}" for n, (name, _) in enumerate(VARIANTS)])
async def test_the_vendors_document_takes_the_request(name, changes, send):
    async with running(name) as bench:
        await send(bench.provider, outgoing(bench, **changes))
        (request,) = bench.server.received
    assert violations(name, request, request.body) == []


def _json(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    def changed(body: bytes) -> bytes:
        parsed = json.loads(body)
        change(parsed)
        return json.dumps(parsed).encode()

    return changed


def _without_recipient(body: bytes) -> bytes:
    form: Mapping[str, str] = dict(parse_qsl(body.decode()))
    return urlencode({key: value for key, value in form.items() if key != "To"}).encode()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sendgrid", _json(lambda body: body.pop("from"))),
        ("sendgrid", _json(lambda body: body["personalizations"][0].pop("to"))),
        ("sendgrid", _json(lambda body: body["content"][0].update(value=""))),
        ("fcm", _json(lambda body: body["message"]["data"].update(kind=1))),
        ("fcm", _json(lambda body: body["message"].update(surprise="x"))),
        ("twilio", _without_recipient),
        ("meta", _json(lambda body: body.pop("recipient_type"))),
        ("meta", _json(lambda body: body["template"].pop("language"))),
    ],
    ids=[
        "sendgrid-no-from",
        "sendgrid-no-to",
        "sendgrid-empty-text",
        "fcm-number",
        "fcm-unknown-field",
        "twilio-no-to",
        "meta-no-recipient-type",
        "meta-no-language",
    ],
)
async def test_the_documents_refuse_what_is_wrong(name, change, send):
    async with running(name) as bench:
        await send(bench.provider, outgoing(bench))
        (request,) = bench.server.received
    assert violations(name, request, change(request.body))


async def test_meta_is_told_who_asks(send):
    async with running("meta") as bench:
        await send(bench.provider, outgoing(bench))
        (request,) = bench.server.received
    assert request.headers["user-agent"] == "tidings/0.1.0"
