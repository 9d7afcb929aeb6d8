"""SMTP beside a scripted server that speaks it."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from notifications.providers.base import Content, EmailContent, ErrorScope, Provider
from notifications.providers.email.smtp import SmtpProvider
from notifications.statuses import Channel
from tests.contracts.support.accounts import smtp_settings
from tests.contracts.support.bench import BODY, Refusal
from tests.contracts.support.smtp_server import Fault, ScriptedSmtp


class SmtpBench:
    channel = Channel.EMAIL
    address = "canary.address@example.org"
    oversized = EmailContent("s", None, "x" * 100_001)
    lost = ({"END": [Fault.RESET]}, {"END": [Fault.CLOSE]}, {"END": [Fault.GARBAGE]})
    hang = {"END": [Fault.HANG]}  # noqa: RUF012 - copied by play

    def __init__(self) -> None:
        self.server = ScriptedSmtp()

    def start(self, port: int | None = None) -> Provider:
        self.provider = SmtpProvider(smtp_settings(port or self.server.port))
        return self.provider

    def without_server(self) -> Provider:
        return SmtpProvider(smtp_settings(1))

    def content(self) -> Content:
        return EmailContent("Payment received", f"<p>{BODY}</p>", BODY)

    def play(self, *answers: Any) -> None:
        for answer in answers:
            for key, lines in answer.items():
                self.server.script.setdefault(key, []).extend(lines)

    def slots(self) -> list[tuple[str, str]]:
        texts = [mail.data.decode() for mail in self.server.written]
        return [
            (
                re.search(r"^Message-ID: <(.+)@tidings\.example>\r$", text, re.MULTILINE)[1],
                re.search(r"^X-Tidings-Correlation: (.+)\r$", text, re.MULTILINE)[1],
            )
            for text in texts
        ]

    @property
    def refusals(self) -> Sequence[Refusal]:
        echo = f" <{self.address}>: {BODY}".encode()
        ten, five = timedelta(minutes=10), timedelta(minutes=5)
        recipient, message, config = ErrorScope.RECIPIENT, ErrorScope.MESSAGE, ErrorScope.CONFIG
        return (
            Refusal({"RCPT": [b"550 5.1.1" + echo]}, "smtp_550_5.1.1", recipient, disable=True),
            Refusal({"RCPT": [b"550" + echo]}, "smtp_550", recipient, disable=True),
            Refusal(
                {"RCPT": [b"550-5.1.1 no" + echo + b"\r\n550 5.1.1 such user"]},
                "smtp_550_5.1.1",
                recipient,
                disable=True,
            ),
            Refusal({"RCPT": [b"550 5.4.4" + echo]}, "smtp_550_5.4.4", recipient),
            Refusal({"RCPT": [b"554 5.7.1" + echo]}, "smtp_554_5.7.1", message),
            Refusal({"END": [b"554 5.6.0" + echo]}, "smtp_554_5.6.0", message),
            Refusal({"END": [b"550" + echo]}, "smtp_550", message),
            Refusal({"END": [b"552" + echo]}, "smtp_552", message),
            Refusal({"MAIL": [b"552 5.3.4" + echo]}, "smtp_552_5.3.4", message),
            Refusal({"MAIL": [b"550 5.1.1" + echo]}, "smtp_550_5.1.1", config),
            Refusal({"MAIL": [b"530 5.7.0" + echo]}, "smtp_530_5.7.0", config),
            Refusal({"CONNECT": [b"554 5.7.1" + echo]}, "smtp_554_5.7.1", config),
            Refusal({"RCPT": [b"550 5.7.26" + echo]}, "smtp_550_5.7.26", config),
            Refusal({"RCPT": [b"450 4.7.1" + echo]}, "smtp_450_4.7.1", None, retry_after=five),
            Refusal({"RCPT": [b"552 5.2.2" + echo]}, "smtp_552_5.2.2", None, retry_after=ten),
            Refusal({"RCPT": [b"451" + echo]}, "smtp_451", None),
            Refusal({"RCPT": [b"451 5.1.1" + echo]}, "smtp_451", None),
            Refusal({"CONNECT": [b"421" + echo]}, "smtp_421", None),
            Refusal({"END": [b"451 4.3.0" + echo]}, "smtp_451_4.3.0", None),
        )


class PipeliningSmtpBench(SmtpBench):
    """A server that takes MAIL, RCPT and DATA at once, as most do."""

    def __init__(self) -> None:
        super().__init__()
        self.server.extensions = (*self.server.extensions, "PIPELINING")
