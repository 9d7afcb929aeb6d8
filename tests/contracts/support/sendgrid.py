"""SendGrid beside a scripted server."""

import json
from collections.abc import Sequence
from typing import Any

from pydantic import SecretStr

from notifications.providers.base import Content, EmailContent, ErrorScope, Provider
from notifications.providers.email.sendgrid import MAX_BYTES, SendGridProvider
from notifications.settings import SendGridSettings
from notifications.statuses import Channel
from tests.contracts.support.bench import BODY, HttpBench, Refusal
from tests.contracts.support.http_server import Reply, ScriptedHttp


class SendGridBench(HttpBench):
    channel = Channel.EMAIL
    address = "canary.address@example.org"

    def __init__(self) -> None:
        self.server = ScriptedHttp(
            scripted_suffix="/mail/send",
            accepted=Reply(202, body=b"", headers={"X-Message-Id": "LRzXl_NHStOGhQ4kofSm_A"}),
            elsewhere=Reply(200, {"scopes": ["mail.send"]}),
        )

    def start(self, url: str | None = None) -> Provider:
        self.provider = SendGridProvider(sendgrid_settings(url or self.server.url))
        return self.provider

    def without_server(self) -> Provider:
        return SendGridProvider(sendgrid_settings("http://127.0.0.1:1"))

    def content(self) -> Content:
        return EmailContent("Payment received", f"<p>{BODY}</p>", BODY)

    @property
    def oversized(self) -> Content:
        return EmailContent("s", None, "x" * MAX_BYTES)

    def slots(self) -> list[tuple[str, str]]:
        mails = [json.loads(request.body) for request in self.server.received]
        given = [mail["personalizations"][0]["custom_args"] for mail in mails]
        return [(args["tidings_message_id"], args["tidings_correlation"]) for args in given]

    @property
    def refusals(self) -> Sequence[Refusal]:
        address = "personalizations.0.to.0.email"
        recipient, message, config = ErrorScope.RECIPIENT, ErrorScope.MESSAGE, ErrorScope.CONFIG
        no_credits = Reply(401, {"errors": [{"message": "Maximum credits exceeded", "field": None, "help": None}]})
        return (
            Refusal(sendgrid_error(400, address), f"sendgrid_400_{address}", recipient, disable=True),
            Refusal(sendgrid_error(400, address, "subject"), "sendgrid_400_subject", message),
            Refusal(sendgrid_error(400, address, "from.email"), "sendgrid_400_from", config),
            Refusal(sendgrid_error(400, address, "surprise"), "sendgrid_http_400", message),
            Refusal(sendgrid_error(400, "reply_to.email"), "sendgrid_400_reply_to", config),
            Refusal(sendgrid_error(400, "content.0.value"), "sendgrid_400_content", message),
            Refusal(sendgrid_error(400, "personalizations.0.custom_args"), "sendgrid_400_personalizations", message),
            Refusal(sendgrid_error(400, None), "sendgrid_http_400", message),
            Refusal(Reply(400, body=b"<html>"), "sendgrid_http_400", message),
            Refusal(sendgrid_error(401, None), "sendgrid_http_401", config),
            Refusal(no_credits, "sendgrid_credits", config),
            Refusal(sendgrid_error(403, "from"), "sendgrid_http_403", config),
            Refusal(sendgrid_error(404, None), "sendgrid_http_404", config),
            Refusal(sendgrid_error(413, None), "sendgrid_http_413", message),
            Refusal(sendgrid_error(415, None), "sendgrid_http_415", config),
            Refusal(sendgrid_error(429, None), "sendgrid_http_429", None),
        )


def sendgrid_settings(url: str, **changes: Any) -> SendGridSettings:
    given = {
        "api_key": SecretStr("SG.auth-canary"),
        "from_address": "Tidings <hello@tidings.example>",
        "base_url": url,
    }
    return SendGridSettings(**{**given, **changes})


def sendgrid_error(status: int, *fields: str | None, **headers: str) -> Reply:
    text = f"{SendGridBench.address} {BODY}"
    return Reply(status, {"errors": [{"message": text, "field": field, "help": None} for field in fields]}, headers)
