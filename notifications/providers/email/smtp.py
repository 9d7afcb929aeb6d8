"""E-mail through any SMTP server (RFC 5321)."""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from aiosmtplib import SMTPException, SMTPResponseException, SMTPServerDisconnected

from notifications.providers import verdicts
from notifications.providers.base import (
    DeliveryError,
    ErrorScope,
    OutgoingMessage,
    PermanentDeliveryError,
    Receipt,
    TransientDeliveryError,
    UnknownOutcome,
)
from notifications.providers.email.mime import Mail, build_mail, own_mailbox
from notifications.providers.email.smtp_dialogue import Answer, NotSmtpError
from notifications.providers.email.smtp_pool import IDLE_SECONDS, Connection, SmtpPool
from notifications.providers.verdicts import Verdict
from notifications.settings import SmtpSettings
from notifications.statuses import Channel

# Enhanced status codes, the longest prefix first: https://www.iana.org/assignments/smtp-enhanced-status-codes and
# RFC 3463, 5248, 6710, 7372, 7505. A policy (5.7) speaks of us or of the message, never of the address.
ENHANCED = {
    "4.2.2": verdicts.transient("the mailbox is full", retry_after=timedelta(minutes=10)),
    "4.7.1": verdicts.transient("the server asks to come back later (greylisting)", retry_after=timedelta(minutes=5)),
    "5.1.1": verdicts.recipient("the mailbox does not exist", disable=True),
    "5.1.2": verdicts.recipient("the mail domain does not exist", disable=True),
    "5.1.3": verdicts.recipient("the server does not take the address as one", disable=True),
    "5.1.6": verdicts.recipient("the mailbox has moved", disable=True),
    "5.1.7": verdicts.config("the server does not take our sender address"),
    "5.1.8": verdicts.config("the domain of our sender address does not exist"),
    "5.1.10": verdicts.recipient("the mail domain takes no mail", disable=True),
    "5.1": verdicts.recipient("the server does not take the recipient's address"),
    "5.2.1": verdicts.recipient("the mailbox is disabled", disable=True),
    "5.2.2": verdicts.transient("the mailbox is full", retry_after=timedelta(minutes=10)),
    "5.2.3": verdicts.message("the message is too large for the mailbox"),
    "5.2": verdicts.recipient("the mailbox does not take mail"),
    "5.3.4": verdicts.message("the message is too large"),
    "5.4": verdicts.recipient("the mail domain cannot be reached"),
    "5.5": verdicts.config("the server does not understand us"),
    "5.6": verdicts.message("the server does not take the message's form"),
    "5.7.0": verdicts.config("the server wants us to authenticate or to use TLS"),
    "5.7.8": verdicts.config("the user name or password is wrong"),
    "5.7.9": verdicts.config("the server wants another way to authenticate"),
    "5.7.11": verdicts.config("the server wants TLS for authentication"),
    "5.7.14": verdicts.config("the server wants a trusted connection"),
    "5.7.20": verdicts.config("no valid DKIM signature"),
    "5.7.21": verdicts.config("no acceptable DKIM signature"),
    "5.7.22": verdicts.config("no DKIM signature of the author's domain"),
    "5.7.23": verdicts.config("SPF refuses our server"),
    "5.7.24": verdicts.config("SPF could not be evaluated"),
    "5.7.25": verdicts.config("our address has no valid reverse DNS"),
    "5.7.26": verdicts.config("several authentication checks failed (SPF, DKIM, DMARC)"),
    "5.7": verdicts.message("the server's policy refuses the message"),
}
# Basic codes where the server gives no enhanced one, by the command that they answer.
BASIC = {
    ("RCPT", 550): verdicts.recipient("the mailbox does not exist", disable=True),
    ("RCPT", 551): verdicts.recipient("the mailbox is not here", disable=True),
    ("RCPT", 552): verdicts.transient("the mailbox is full", retry_after=timedelta(minutes=10)),
    ("RCPT", 553): verdicts.recipient("the server does not take the address as one", disable=True),
    ("MAIL", 552): verdicts.message("the message is too large"),
    ("DATA", 552): verdicts.message("the message is too large"),
}
BY_COMMAND = {
    "CONNECT": verdicts.config("the server does not serve us"),
    "MAIL": verdicts.config("the server does not take our sender or wants us to authenticate"),
    "RCPT": verdicts.message("the server refused the message at the recipient"),
    "DATA": verdicts.message("the server refused the message"),
}
TRANSIENT = verdicts.transient("the server asks to come back later")
# What an operator must mend whatever the command: RFC 4954 §6, RFC 5321 §4.2.1.
CONFIG_CODES = {
    530: verdicts.config("the server wants us to authenticate or to use TLS first"),
    534: verdicts.config("the server wants another way to authenticate"),
    535: verdicts.config("the user name or password is wrong"),
    538: verdicts.config("the server wants TLS for authentication"),
}
SIZE_CODES = frozenset({"5.2.3", "5.3.4"})

_ENHANCED_CODE = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?=\s|$)")
_COMPLETED, _GO_ON, _CLOSING = range(200, 300), range(300, 400), 421
_REFUSALS, _PERMANENT = range(400, 600), 500
_NOT_IN_COMMANDS = re.compile(rb"[\x00-\x20\x7f<>]")
_HEAR_OUT_SECONDS = 1.0


@dataclass(slots=True)
class _Call:
    """How far a send has come: what a failure means depends on it alone."""

    deadline: float
    command: str = "CONNECT"
    is_reused: bool = False
    may_be_accepted: bool = False  # from the first byte of the body on, since the final dot goes out with it


class _RefusedError(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.code, self.text = code, text


class SmtpProvider:
    """One SMTP account. The idempotency key stands in Message-ID, the correlation in X-Tidings-Correlation."""

    name = "smtp"
    channel = Channel.EMAIL

    def __init__(self, settings: SmtpSettings, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._timeout = settings.timeout_seconds
        self._from = own_mailbox(settings.from_address, "TIDINGS_SMTP__FROM_ADDRESS")
        self._reply_to = own_mailbox(settings.reply_to, "TIDINGS_SMTP__REPLY_TO") if settings.reply_to else None
        self._pool = SmtpPool(settings, idle_seconds)

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        mail = build_mail(
            message, idempotency_key=idempotency_key, default_from=self._from, default_reply_to=self._reply_to
        )
        await self._within(deadline, mail)
        return Receipt(f"{idempotency_key}@{mail.sender.rpartition('@')[2]}")

    async def check(self) -> None:
        await self._within(time.monotonic() + self._timeout, None)

    async def close(self) -> None:
        self._pool.close()

    async def _within(self, deadline: float, mail: Mail | None) -> None:
        """Deliver, or only connect, by the deadline; every failure becomes one of ours, without a cause that quotes."""
        now = time.monotonic()
        call = _Call(min(deadline, now + self._timeout))
        failure: DeliveryError
        try:
            if call.deadline <= now:
                raise TimeoutError
            return await self._on_a_living_connection(mail, call)
        except _RefusedError as refused:
            failure = _refusal(call.command, refused.code, refused.text)
        except SMTPResponseException as error:
            is_answer = error.code in _REFUSALS and not call.may_be_accepted
            failure = _refusal(call.command, error.code, error.message) if is_answer else _broken(call, error)
        except (SMTPException, OSError, UnicodeError) as error:
            failure = _broken(call, error)
        raise failure

    async def _on_a_living_connection(self, mail: Mail | None, call: _Call) -> None:
        """A kept connection may have died meanwhile: before MAIL is answered that is no failure, only a new start."""
        try:
            await self._on_one_connection(mail, call, fresh=mail is None)
        except (SMTPServerDisconnected, ConnectionError, _RefusedError) as error:
            is_gone = not isinstance(error, _RefusedError) or error.code == _CLOSING
            if not (call.is_reused and is_gone and call.command == "MAIL"):
                raise
            await self._on_one_connection(mail, call, fresh=True)

    async def _on_one_connection(self, mail: Mail | None, call: _Call, *, fresh: bool) -> None:
        call.command = "CONNECT"
        connection = await self._pool.take(call.deadline, fresh=fresh)
        call.is_reused = connection.is_reused
        is_usable = False
        try:
            if mail is not None:
                _check_abilities(connection.extensions, mail)
                await _transfer(connection, mail, call)
            is_usable = True
        except _RefusedError as refused:
            is_usable = connection.needs_reset = refused.code != _CLOSING and not connection.is_spoilt
            raise
        except PermanentDeliveryError:
            is_usable = True
            raise
        finally:
            (self._pool.keep if is_usable else self._pool.drop)(connection)


async def _transfer(connection: Connection, mail: Mail, call: _Call) -> None:
    dialogue, envelope = connection.dialogue, _envelope(connection, mail)
    connection.messages += 1
    connection.needs_reset = False
    call.command = "MAIL"
    dialogue.begin(call.deadline)
    is_pipelined = "pipelining" in connection.extensions
    if is_pipelined:
        dialogue.say(b"".join(line for _, line in envelope))
    for number, (call.command, line) in enumerate(envelope, 1):
        if not is_pipelined:
            dialogue.say(line)
        answer = await dialogue.answer()
        if is_pipelined and answer.code in _REFUSALS and answer.code != _CLOSING:
            await _hear_out(connection, len(envelope) - number)
        _expect(_GO_ON if call.command == "DATA" else _COMPLETED, answer)
    call.may_be_accepted = True
    # The dot is stuffed (RFC 5321 §4.5.2) and the end goes out with the text: one write, one answer.
    dialogue.say(mail.data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
    answer = await dialogue.answer()
    call.may_be_accepted = answer.code not in _COMPLETED and answer.code not in _REFUSALS
    _expect(_COMPLETED, answer)


def _envelope(connection: Connection, mail: Mail) -> list[tuple[str, bytes]]:
    """The commands before the text, each with the name that it has for a refusal."""
    options = b" SMTPUTF8 BODY=8BITMIME" if mail.needs_smtputf8 else b""
    if "size" in connection.extensions:
        options += b" SIZE=%d" % len(mail.data)
    sender, recipient = mail.sender.encode(), mail.recipient.encode()
    if _NOT_IN_COMMANDS.search(sender + recipient):
        raise PermanentDeliveryError("email_invalid_address", "an address with a line end", scope=ErrorScope.MESSAGE)
    return [
        *([("MAIL", b"RSET\r\n")] if connection.needs_reset else []),
        ("MAIL", b"MAIL FROM:<%s>%s\r\n" % (sender, options)),
        ("RCPT", b"RCPT TO:<%s>\r\n" % recipient),
        ("DATA", b"DATA\r\n"),
    ]


async def _hear_out(connection: Connection, left: int) -> None:
    """Read the answers to what went out with a refused command; the refusal stays what the send is about.

    A server may wait for a text even without a recipient (RFC 2920 §3.1): the connection is then of no further use.
    """
    connection.is_spoilt = True
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_HEAR_OUT_SECONDS):
            answers = [await connection.dialogue.answer() for _ in range(left)]
            connection.is_spoilt = any(answer.code in _GO_ON for answer in answers)


def _expect(codes: range, answer: Answer) -> None:
    if answer.code in _REFUSALS:
        raise _RefusedError(answer.code, answer.text)
    if answer.code not in codes:
        raise NotSmtpError("an answer out of turn")


def _check_abilities(extensions: Mapping[str, str], mail: Mail) -> None:
    """Refuse what the server has said that it cannot take."""
    limit = extensions.get("size", "").strip()
    if limit.isdecimal() and 0 < int(limit) < len(mail.data):
        detail = f"the e-mail has {len(mail.data)} bytes, the server takes {limit}"
        raise PermanentDeliveryError("smtp_too_large", detail, scope=ErrorScope.MESSAGE)
    if mail.needs_smtputf8 and "smtputf8" not in extensions:
        detail = "the address has letters beyond ASCII before the @, and the server has no SMTPUTF8"
        raise PermanentDeliveryError("smtp_no_smtputf8", detail, scope=ErrorScope.RECIPIENT)


def _refusal(command: str, code: int, text: str) -> DeliveryError:
    found = _ENHANCED_CODE.match(text)
    enhanced = found[1] if found and found[1][0] == str(code)[0] else ""
    word = f"smtp_{code}_{enhanced}" if enhanced else f"smtp_{code}"
    error = _verdict(command, code, enhanced).error(word)
    if isinstance(error, TransientDeliveryError):
        error.outage = command == "CONNECT" or code == _CLOSING
    return error


def _verdict(command: str, code: int, enhanced: str) -> Verdict:
    prefixes = (enhanced, enhanced.rpartition(".")[0])
    listed = next((ENHANCED[prefix] for prefix in prefixes if prefix in ENHANCED), None)
    if code < _PERMANENT:
        return listed or TRANSIENT
    if code in CONFIG_CODES:
        return CONFIG_CODES[code]
    # Before RCPT the server knows neither address nor text: whatever it names, it means us.
    means_us = command in {"CONNECT", "MAIL"} and enhanced not in SIZE_CODES
    if listed is not None and not (means_us and listed.scope is not ErrorScope.CONFIG):
        return listed
    return BASIC.get((command, code)) or BY_COMMAND[command]


def _broken(call: _Call, error: Exception) -> DeliveryError:
    cause = error.__cause__ or error
    if isinstance(error, TimeoutError):
        word = "smtp_timeout"
    elif isinstance(cause, ssl.SSLError):
        word = "smtp_tls"
    elif isinstance(cause, (socket.gaierror, UnicodeError)):
        word = "smtp_dns"
    else:
        word = "smtp_connect" if call.command == "CONNECT" else "smtp_disconnected"
    if call.may_be_accepted:
        return UnknownOutcome(word, "the message was written and no answer came")
    if type(error) is SMTPException:  # aiosmtplib's way to say that the server lacks STARTTLS or AUTH
        detail = "the server offers no STARTTLS or no authentication that we know: check TIDINGS_SMTP__TLS and __PORT"
        return PermanentDeliveryError("smtp_unsupported", detail, scope=ErrorScope.CONFIG)
    detail = f"the server was lost at {call.command}, before it had the message"
    return TransientDeliveryError(word, detail, outage=True)
