"""Connections to one SMTP server, kept for the next message."""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from aiosmtplib import SMTP, SMTPServerDisconnected

from notifications.providers.email.smtp_dialogue import Dialogue
from notifications.settings import SmtpSettings

# Postfix lets an idle client wait 5 min, Exchange Online 1 min; others less.
IDLE_SECONDS = 30.0
# Servers count the messages of a connection too (Postfix, Exchange: often 100 to 1,000).
MAX_MESSAGES = 100


@dataclass(slots=True)
class Connection:
    client: SMTP
    dialogue: Dialogue
    extensions: Mapping[str, str]  # what the server said that it can do, in small letters
    messages: int = 0
    needs_reset: bool = False  # a refused envelope is still open
    is_spoilt: bool = False  # the server waits for a text that will not come
    idle_since: float = field(default_factory=time.monotonic)

    @property
    def is_reused(self) -> bool:
        return self.messages > 0

    def close(self) -> None:
        """Say goodbye without waiting for the answer."""
        if self.dialogue.is_open:
            self.dialogue.say(b"QUIT\r\n")
        self.client.close()


class SmtpPool:
    """At most `max_connections` at once; the newest idle one is taken first, so that the others can be let go."""

    def __init__(self, settings: SmtpSettings, idle_seconds: float) -> None:
        self._settings = settings
        self._idle_seconds = idle_seconds
        self._places = asyncio.Semaphore(settings.max_connections)
        self._idle: deque[Connection] = deque()
        self._sweep: asyncio.TimerHandle | None = None
        # Reading the system's certificates takes tens of milliseconds: once, not per connection.
        self._tls = ssl.create_default_context() if settings.tls != "none" else None
        self._hostname = _hostname()

    async def take(self, deadline: float, *, fresh: bool = False) -> Connection:
        """A connection that is ready for MAIL; give it back with `keep` or `drop`.

        `fresh`: after an idle one turned out to be dead, when the others most likely are too.

        Raises:
            aiosmtplib.SMTPException, OSError: the server cannot be reached, or refuses TLS or the credentials.
            TimeoutError: all places are taken, or the server is silent, until the deadline (of `time.monotonic`).

        """
        if not (fresh or self._places.locked()) and (connection := self._newest()):
            await self._places.acquire()  # there is one, so this does not wait and needs no time limit
            return connection
        async with asyncio.timeout(deadline - time.monotonic()):
            await self._places.acquire()
            try:
                if fresh:
                    self.close()
                return self._newest() or await self._connect()
            except BaseException:
                self._places.release()
                raise

    def keep(self, connection: Connection) -> None:
        """Back to the idle ones."""
        self._places.release()
        connection.dialogue.rest()
        if connection.messages >= MAX_MESSAGES or not connection.dialogue.is_open:
            connection.close()
            return
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._idle_seconds, self._close_idle)

    def drop(self, connection: Connection) -> None:
        """After an error: nobody knows what the server would take next."""
        self._places.release()
        connection.client.close()

    def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        while self._idle:
            self._idle.pop().close()

    def _newest(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.dialogue.is_open and time.monotonic() - connection.idle_since < self._idle_seconds:
                return connection
            connection.close()
        return None

    async def _connect(self) -> Connection:
        settings = self._settings
        client = SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            local_hostname=self._hostname,
            timeout=None,  # the deadline of `take` holds
            use_tls=settings.tls == "implicit",
            start_tls=settings.tls == "starttls",
            tls_context=self._tls,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            return Connection(client, Dialogue(_transport(client)), dict(client.esmtp_extensions))
        except BaseException:
            client.close()
            raise

    def _close_idle(self) -> None:
        self._sweep = None
        now = time.monotonic()
        while self._idle and now - self._idle[0].idle_since >= self._idle_seconds:
            self._idle.popleft().close()
        if self._idle:
            wait = self._idle[0].idle_since + self._idle_seconds - now
            self._sweep = asyncio.get_running_loop().call_later(wait, self._close_idle)


def _transport(client: SMTP) -> asyncio.Transport:
    transport = client.protocol.transport if client.protocol is not None else None
    if transport is None:
        raise SMTPServerDisconnected("closed after the greeting")
    return cast(asyncio.Transport, transport)  # uvloop's are transports in all but their class


def _hostname() -> str:
    """The name for EHLO, without DNS: aiosmtplib would look it up in every process, which can take seconds."""
    name = socket.gethostname()
    return name if name.isascii() and all(part and part.strip("-") == part for part in name.split(".")) else "localhost"
