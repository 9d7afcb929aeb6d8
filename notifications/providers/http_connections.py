"""Connections to one vendor, kept for reuse: each carries one request at a time."""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from typing import cast

import aiohappyeyeballs
from typing_extensions import override

from notifications.providers.http_answers import AnswerReader, BadAnswerError, Read

# Vendors keep idle connections for minutes; closing ours first avoids writing into one that just died.
KEEP_ALIVE_SECONDS = 15.0
_NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305 §5: where one address of a host does not answer, the next is tried beside it


@dataclass(frozen=True, slots=True)
class Origin:
    host: str
    port: int
    is_tls: bool


class Connection(asyncio.Protocol):
    """`exchange` is for one caller at a time; whatever interrupts it ends the connection."""

    def __init__(self) -> None:
        self._reader: AnswerReader | None = None
        self._waiter: asyncio.Future[Read] | None = None
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        return not self._transport.is_closing()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._waiter is None or self._waiter.done():
            self.abort()  # nobody asked for it
            return
        try:
            answer = self._reader.feed(data)
        except BadAnswerError as error:
            self._waiter.set_exception(error)
            return
        if answer is not None:
            self._waiter.set_result(answer)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._reader is None or self._waiter is None or self._waiter.done():
            return
        answer = self._reader.end() if exc is None else None
        if answer is not None:
            self._waiter.set_result(answer)
        else:
            self._waiter.set_exception(BadAnswerError() if self._reader.has_begun else ConnectionResetError())

    async def exchange(self, request: bytes) -> Read:
        """Write the request and read its answer.

        Raises:
            BadAnswerError: what came is no answer.
            OSError: the connection was lost.

        """
        self._reader, self._waiter = AnswerReader(), asyncio.get_running_loop().create_future()
        is_whole = False
        try:
            self._transport.write(request)
            answer = await self._waiter
            is_whole = not answer.is_last
            return answer
        finally:
            self._reader = self._waiter = None
            if not is_whole:
                self.abort()

    def abort(self) -> None:
        self._transport.abort()


class Connections:
    """Those that wait for a request, the last used first; how many there are is bounded by who asks."""

    def __init__(self) -> None:
        self._idle: dict[Origin, deque[Connection]] = {}
        self._busy: set[Connection] = set()
        self._tls: ssl.SSLContext | None = None

    async def take(self, origin: Origin) -> Connection:
        """One that is open.

        Raises:
            OSError: the host is unknown (`socket.gaierror`), does not answer, or has no TLS that can be trusted.

        """
        idle = self._idle.setdefault(origin, deque())
        oldest = time.monotonic() - KEEP_ALIVE_SECONDS
        while idle and (idle[0].idle_since < oldest or not idle[0].is_open):
            idle.popleft().abort()
        connection = idle.pop() if idle else None
        if connection is None or not connection.is_open:
            connection = await self._open(origin)
        self._busy.add(connection)
        return connection

    def give_back(self, origin: Origin, connection: Connection) -> None:
        self._busy.discard(connection)
        if connection.is_open:
            connection.idle_since = time.monotonic()
            self._idle.setdefault(origin, deque()).append(connection)

    async def close(self) -> None:
        for connection in [*self._busy, *(each for idle in self._idle.values() for each in idle)]:
            connection.abort()
        self._idle.clear()
        self._busy.clear()

    async def _open(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        addresses = _literal(origin) or await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        connected = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
        try:
            _, connection = await loop.create_connection(
                Connection,
                sock=connected,
                ssl=self._context() if origin.is_tls else None,
                server_hostname=origin.host if origin.is_tls else None,
            )
        except BaseException:
            connected.close()
            raise
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _literal(origin: Origin) -> list[aiohappyeyeballs.AddrInfoType]:
    """The address itself, where no name has to be looked up, for which a thread is needed."""
    try:
        address = ipaddress.ip_address(origin.host)
    except ValueError:
        return []
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 - of IP
    place = (origin.host, origin.port) if family is socket.AF_INET else (origin.host, origin.port, 0, 0)
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)]
