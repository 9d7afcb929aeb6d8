"""SMTP with SIZE, 8BITMIME, SMTPUTF8, PIPELINING and, for who wants it, AUTH.

The test addresses (see the package) are refused at RCPT. Any user name with `PASSWORD` may log in; another password
gets 535 5.7.8. A mail over `MAX_BYTES` gets 552 5.3.4, one without a From 550 5.7.1, a line over 998 bytes 500 5.6.0,
a non-ASCII address without SMTPUTF8 553 5.6.7.
"""
# ruff: noqa: ARG001, ARG002, N802 - aiosmtpd fixes names and arguments of what it calls

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from aiosmtpd.smtp import Session as PeerState
from typing_extensions import override

from devstack.sandbox.faults import ErrorKnob, FaultBoard, Strike
from devstack.sandbox.gate import reset_connection
from devstack.sandbox.inbox import Accepted, Inbox
from devstack.sandbox.mailbox import mail_slots, read_headers, read_mail

MAX_BYTES = 10 * 2**20
MAX_LINE_BYTES = 998
USERNAME = "sandbox"
PASSWORD = "sandbox-smtp-password"  # noqa: S105 - the one that everybody may know

_DOWN = "421 4.3.2 sandbox.localhost Service not available, closing transmission channel"
_RUBBISH = "HTTP/1.1 200 OK <html>not SMTP at all</html>"
_TEST_ADDRESSES = {
    "bounce": "550 5.1.1 The email account that you tried to reach does not exist",
    "nodomain": "550 5.1.2 Bad destination system address",
    "full": "452 4.2.2 The recipient's mailbox is full, try again later",
    "blocked": "550 5.7.1 Message refused by policy",
}
_GREYLISTED = "450 4.7.1 Greylisted, try again in 300 seconds"
_GREYLIST_SIZE = 10_000

# SMTP status: the enhanced code and text of a fault that names none
_FAULT_TEXTS = {
    421: ("4.3.2", "Service not available, closing transmission channel"),
    450: ("4.2.1", "Mailbox temporarily unavailable"),
    451: ("4.3.0", "Local error in processing, try again later"),
    452: ("4.3.1", "Insufficient system storage"),
    535: ("5.7.8", "Authentication credentials invalid"),
    550: ("5.1.1", "Mailbox unavailable"),
    552: ("5.3.4", "Message too big for system"),
    554: ("5.7.1", "Transaction failed"),
}


class Connection(SMTP):
    """One client's connection: closes politely while the provider is switched off."""

    line_length_limit = 2**16  # of the reader, so that it need not pause every 2 kB; the RFC's is judged at the end

    def __init__(self, handler: "Conversation", board: FaultBoard, open_connections: set["Connection"]) -> None:
        self._board = board
        self._open_connections = open_connections
        self.trickle = 0.0  # seconds between two bytes of a reply
        super().__init__(
            handler,
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            hostname="sandbox.localhost",
            ident="ESMTP Tidings sandbox",
            auth_require_tls=False,
            authenticator=_authenticate,
            loop=asyncio.get_running_loop(),
        )
        self._smtp_methods = {name: self._while_open(method) for name, method in self._smtp_methods.items()}

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._open_connections.add(self)
        super().connection_made(transport)

    @override
    def connection_lost(self, error: Exception | None) -> None:
        self._open_connections.discard(self)
        super().connection_lost(error)

    def _while_open(self, method: Callable[[str | None], Awaitable[None]]) -> Callable[[str | None], Awaitable[None]]:
        @functools.wraps(method)
        async def checked(argument: str | None) -> None:
            if self._board.is_enabled("smtp"):
                await method(argument)
            else:
                await self.push(_DOWN)

        return checked

    @override
    async def push(self, status: str | bytes) -> None:
        """Send a reply; a 421, the greeting of a server that is down among them, ends the connection."""
        text = status.decode("utf-8", "replace") if isinstance(status, bytes) else status
        if text.startswith("220 ") and not self._board.is_enabled("smtp"):
            text = _DOWN
        elif text.startswith("552 Error"):
            text = "552 5.3.4 Message size exceeds fixed limit"
        if self.trickle > 0:
            await self._push_slowly(text)
        else:
            await super().push(text)
        if text.startswith("421") and self.transport is not None:
            self.transport.close()

    async def _push_slowly(self, text: str) -> None:
        for byte in f"{text}\r\n".encode():
            self._writer.write(bytes([byte]))
            await self._writer.drain()
            await asyncio.sleep(self.trickle)


class Conversation:
    """What is said on one connection; aiosmtpd calls the `handle_` methods."""

    def __init__(self, inbox: Inbox, board: FaultBoard, greylisted: set[str]) -> None:
        self._inbox = inbox
        self._board = board
        self._greylisted = greylisted
        self._strike = Strike()

    async def handle_EHLO(
        self, server: SMTP, session: PeerState, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", responses[-1]]

    async def handle_MAIL(
        self, server: SMTP, session: PeerState, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self._strike = Strike()
        if address.casefold().startswith("blocked"):
            return _TEST_ADDRESSES["blocked"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(
        self, server: Connection, session: PeerState, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        strike = self._board.strike("smtp", address)
        refused = await self._struck_before(server, strike) or self._refused(envelope, address)
        if refused is not None:
            await asyncio.sleep(strike.latency)
            return refused
        self._strike = strike
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Connection, session: PeerState, envelope: Envelope) -> str:
        if not self._board.is_enabled("smtp"):
            return _DOWN
        strike = self._strike
        if strike.error is not None:
            await asyncio.sleep(strike.latency)
            return fault_reply(strike.error)
        raw: bytes = envelope.original_content or b""
        refused = self._accept(raw, envelope.rcpt_tos)
        await asyncio.sleep(strike.latency)
        if refused is not None:
            return refused
        if strike.hang == "after":
            await _hang()
        if strike.reset == "after":
            reset_connection(server.transport)
            await _hang()
        server.trickle = strike.trickle
        return _RUBBISH if strike.rubbish == "after" else f"250 2.0.0 OK queued as {self._queue_id}"

    async def handle_exception(self, error: Exception) -> str:
        return f"451 4.3.0 Error in the sandbox: {type(error).__name__}"

    async def _struck_before(self, server: Connection, strike: Strike) -> str | None:
        if strike.hang == "before":
            await _hang()
        if strike.reset == "before":
            reset_connection(server.transport)
            await _hang()
        if strike.throttle is not None:
            wait = strike.throttle.retry_after
            return f"450 4.7.0 Too many messages, try again {f'in {wait} seconds' if wait is not None else 'later'}"
        if strike.error is not None and strike.error.at == "rcpt":
            return fault_reply(strike.error)
        return _RUBBISH if strike.rubbish == "before" else None

    def _refused(self, envelope: Envelope, address: str) -> str | None:
        if not address.isascii() and not envelope.smtp_utf8:
            return "553 5.6.7 Non-ASCII addresses need SMTPUTF8"
        local_part = address.casefold().rpartition("@")[0]
        if local_part.startswith("greylist") and address not in self._greylisted:
            if len(self._greylisted) >= _GREYLIST_SIZE:
                self._greylisted.clear()
            self._greylisted.add(address)
            return _GREYLISTED
        return next((text for start, text in _TEST_ADDRESSES.items() if local_part.startswith(start)), None)

    def _accept(self, raw: bytes, recipients: list[str]) -> str | None:
        headers = read_headers(raw)
        if not headers.get("From"):
            return "550 5.7.1 This message is not RFC 5322 compliant, the issue is: 'From' header is missing"
        if max(map(len, raw.split(b"\r\n"))) > MAX_LINE_BYTES:
            return "500 5.6.0 Line too long, see RFC 5321 4.5.3.1.6"
        slots = mail_slots(headers)
        for recipient in recipients:
            entry = Accepted(
                provider="smtp",
                channel="email",
                to=recipient,
                key=slots.key,
                correlation=slots.correlation,
                provider_message_id=str(headers.get("Message-ID", "")).strip(" \r\n<>") or None,
                parse=lambda: read_mail(raw),
                size=len(raw),
            )
            self._queue_id = entry.id[:12].upper()
            self._inbox.add(entry)
        return None


def fault_reply(knob: ErrorKnob) -> str:
    """The reply line for an error of the fault knobs; 451 where no status is given."""
    status = knob.status or 451
    code, text = _FAULT_TEXTS.get(status, (f"{status // 100}.0.0", "Refused by the sandbox"))
    return f"{status} {knob.code or code} {knob.message or text}"


async def _hang() -> None:
    """Wait for the client to give up: its EOF or a reset cancels the conversation."""
    await asyncio.Event().wait()


def _authenticate(server: SMTP, session: PeerState, envelope: Envelope, mechanism: str, login: Any) -> AuthResult:
    matches = isinstance(login, LoginPassword) and login.password == PASSWORD.encode()
    return AuthResult(success=matches, handled=False)


class SmtpServer:
    """Listens until `stop`; every open connection is closed then."""

    def __init__(self, inbox: Inbox, board: FaultBoard) -> None:
        self._inbox = inbox
        self._board = board
        self._greylisted: set[str] = set()
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; answers the port, which is another one where 0 was asked for."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connect, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    def _connect(self) -> Connection:
        conversation = Conversation(self._inbox, self._board, self._greylisted)
        return Connection(conversation, self._board, self._connections)

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._connections):
            cast(asyncio.WriteTransport, connection.transport).abort()
        await self._server.wait_closed()
