"""Each provider beside a scripted server, in words that one suite can use for all."""

import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import SecretStr

from notifications.providers.base import (
    Content,
    ErrorScope,
    Provider,
    PushContent,
    SmsContent,
    WhatsAppContent,
)
from notifications.providers.push.fcm import FcmProvider
from notifications.providers.sms.twilio import TwilioProvider
from notifications.providers.whatsapp.meta import MetaProvider
from notifications.settings import FcmSettings
from notifications.statuses import Channel
from tests.contracts.support.accounts import (
    PEM,
    PUBLIC_KEY,
    fcm_settings,
    meta_settings,
    service_account,
    twilio_settings,
)
from tests.contracts.support.bench import BODY, KEY, NAME, ORIGIN, HttpBench, Refusal, outgoing
from tests.contracts.support.http_server import Reply, ScriptedHttp
from tests.contracts.support.sendgrid import SendGridBench
from tests.contracts.support.smtp import PipeliningSmtpBench, SmtpBench


class FcmBench(HttpBench):
    channel = Channel.PUSH
    address = "canary-token-4242"
    oversized = PushContent("title", "x" * 4096)

    def __init__(self) -> None:
        self.server = ScriptedHttp(
            scripted_suffix=":send",
            accepted=Reply(200, {"name": "projects/p/messages/1"}),
            elsewhere=Reply(200, {"access_token": "access-canary", "expires_in": 3600}),
        )

    def start(self, url: str | None = None) -> Provider:
        self.provider = FcmProvider(fcm_settings(url or self.server.url))
        return self.provider

    def without_server(self) -> Provider:
        credentials = SecretStr(service_account(self.server.url))
        return FcmProvider(FcmSettings(credentials=credentials, base_url="http://127.0.0.1:1"))

    def content(self) -> Content:
        return PushContent("Payment received", BODY, "https://acme.example/r/1", {"kind": "payment"})

    def slots(self) -> list[tuple[str, str]]:
        data = [json.loads(request.body)["message"]["data"] for request in self.server.received]
        return [(item["tidings_message_id"], item["tidings_correlation"]) for item in data]

    @property
    def refusals(self) -> Sequence[Refusal]:
        minute = timedelta(minutes=1)
        token = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": "message.token"}]}
        return (
            Refusal(fcm_error(404, "UNREGISTERED"), "fcm_unregistered", ErrorScope.RECIPIENT, disable=True),
            Refusal(fcm_error(403, "SENDER_ID_MISMATCH"), "fcm_sender_id_mismatch", ErrorScope.RECIPIENT, disable=True),
            Refusal(fcm_error(400, "INVALID_ARGUMENT", token), "fcm_invalid_token", ErrorScope.RECIPIENT, disable=True),
            Refusal(fcm_error(400, "INVALID_ARGUMENT"), "fcm_invalid_argument", ErrorScope.MESSAGE),
            Refusal(fcm_error(401, "THIRD_PARTY_AUTH_ERROR"), "fcm_third_party_auth_error", ErrorScope.CONFIG),
            Refusal(fcm_error(403, None), "fcm_permission_denied", ErrorScope.CONFIG),
            Refusal(Reply(404, body=b"<html>"), "fcm_http_404", ErrorScope.CONFIG),
            Refusal(fcm_error(429, "QUOTA_EXCEEDED"), "fcm_quota_exceeded", None, retry_after=minute),
            Refusal(fcm_error(503, "UNAVAILABLE"), "fcm_unavailable", None),
            Refusal(fcm_error(500, "INTERNAL"), "fcm_internal", None),
        )


class TwilioBench(HttpBench):
    channel = Channel.SMS
    address = "+4915112345678"
    oversized = SmsContent("x" * 1601, 11, "GSM-7")

    def __init__(self) -> None:
        self.server = ScriptedHttp(
            scripted_suffix="/Messages.json",
            accepted=Reply(201, {"sid": "SM" + "0" * 32, "status": "queued"}),
            elsewhere=Reply(200, {"sid": "AC" + "1" * 32}),
        )

    def start(self, url: str | None = None) -> Provider:
        self.provider = TwilioProvider(twilio_settings(url or self.server.url))
        return self.provider

    def without_server(self) -> Provider:
        return TwilioProvider(twilio_settings("http://127.0.0.1:1"))

    def content(self) -> Content:
        return SmsContent(BODY, 1, "GSM-7")

    def slots(self) -> list[tuple[str, str]]:
        forms = [dict(parse_qsl(request.body.decode())) for request in self.server.received]
        queries = [dict(parse_qsl(urlsplit(form["StatusCallback"]).query)) for form in forms]
        return [(query["key"], query["correlation"]) for query in queries]

    @property
    def refusals(self) -> Sequence[Refusal]:
        minutes = timedelta(minutes=5)
        return (
            Refusal(twilio_error(400, 21211), "twilio_21211", ErrorScope.RECIPIENT, disable=True),
            Refusal(twilio_error(400, 21610), "twilio_21610", ErrorScope.RECIPIENT),
            Refusal(twilio_error(400, 21617), "twilio_21617", ErrorScope.MESSAGE),
            Refusal(twilio_error(400, 29999), "twilio_29999", ErrorScope.MESSAGE),
            Refusal(twilio_error(401, 20003), "twilio_20003", ErrorScope.CONFIG),
            Refusal(twilio_error(400, 21606), "twilio_21606", ErrorScope.CONFIG),
            Refusal(
                Reply(302, headers={"Location": "https://elsewhere.example/"}), "twilio_http_302", ErrorScope.CONFIG
            ),
            Refusal(twilio_error(429, 20429), "twilio_20429", None),
            Refusal(twilio_error(429, 21611), "twilio_21611", None, retry_after=minutes),
        )


class MetaBench(HttpBench):
    channel = Channel.WHATSAPP
    address = "+4915112345679"
    oversized = WhatsAppContent({"meta": {"name": "order_shipped", "language": "en_US"}}, ("x" * 1025,))

    def __init__(self) -> None:
        self.server = ScriptedHttp(
            scripted_suffix="/messages",
            accepted=Reply(200, {"messaging_product": "whatsapp", "messages": [{"id": "wamid.1"}]}),
            elsewhere=Reply(200, {"id": "42"}),
        )

    def start(self, url: str | None = None) -> Provider:
        self.provider = MetaProvider(meta_settings(url or self.server.url))
        return self.provider

    def without_server(self) -> Provider:
        return MetaProvider(meta_settings("http://127.0.0.1:1"))

    def content(self) -> Content:
        return WhatsAppContent({"meta": {"name": "order_shipped", "language": "en_US"}}, (BODY, "two"))

    def slots(self) -> list[tuple[str, str]]:
        slots = [json.loads(request.body)["biz_opaque_callback_data"] for request in self.server.received]
        return [(slot.split(" ")[1], slot.split(" ")[0]) for slot in slots]

    @property
    def refusals(self) -> Sequence[Refusal]:
        pair = timedelta(seconds=6)
        return (
            Refusal(meta_error(400, 131026), "meta_131026", ErrorScope.RECIPIENT),
            Refusal(meta_error(400, 132000), "meta_132000", ErrorScope.MESSAGE),
            Refusal(meta_error(400, 999999), "meta_999999", ErrorScope.MESSAGE),
            Refusal(meta_error(401, 190), "meta_190", ErrorScope.CONFIG),
            Refusal(meta_error(403, 200), "meta_200", ErrorScope.CONFIG),
            Refusal(meta_error(400, 100, error_subcode=33), "meta_33", ErrorScope.CONFIG),
            Refusal(meta_error(500, 131000), "meta_131000", None),
            Refusal(meta_error(429, 130429), "meta_130429", None),
            Refusal(meta_error(400, 131056), "meta_131056", None, retry_after=pair),
        )


__all__ = [
    "BENCHES",
    "BODY",
    "HTTP_VENDORS",
    "KEY",
    "NAME",
    "ORIGIN",
    "PEM",
    "PUBLIC_KEY",
    "FcmBench",
    "MetaBench",
    "PipeliningSmtpBench",
    "SendGridBench",
    "SmtpBench",
    "TwilioBench",
    "outgoing",
    "running",
]
BENCHES = {
    "smtp": SmtpBench,
    "smtp-pipelining": PipeliningSmtpBench,
    "sendgrid": SendGridBench,
    "fcm": FcmBench,
    "twilio": TwilioBench,
    "meta": MetaBench,
}
HTTP_VENDORS = ("sendgrid", "fcm", "twilio", "meta")


@contextlib.asynccontextmanager
async def running(name: str) -> AsyncIterator[Any]:
    """A started bench."""
    bench = BENCHES[name]()
    async with bench.server.serving():
        provider = bench.start()
        try:
            yield bench
        finally:
            await provider.close()


def fcm_error(status: int, code: str | None, *details: Any, **headers: str) -> Reply:
    """Google's status word of an HTTP status stands beside FCM's own code."""
    word = {404: "NOT_FOUND", 403: "PERMISSION_DENIED", 401: "UNAUTHENTICATED"}.get(status, code)
    ours = {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    items = [*([ours] if code else []), *details]
    text = f"{FcmBench.address} {BODY}"
    return Reply(status, {"error": {"code": status, "status": word, "message": text, "details": items}}, headers)


def twilio_error(status: int, code: int, **headers: str) -> Reply:
    text = f"The 'To' number {TwilioBench.address} is not valid: {BODY}"
    return Reply(status, {"code": code, "message": text, "more_info": "x", "status": status}, headers)


def meta_error(status: int, code: int, **more: Any) -> Reply:
    headers = more.pop("headers", {})
    text = f"(#{code}) {MetaBench.address} {BODY}"
    return Reply(status, {"error": {"message": text, "type": "OAuthException", "code": code, **more}}, headers)
