"""The receiving server: it accepts every mail as SendGrid does, after a while, and keeps the key of each call.

It stands where the sandbox would, so that workers find it as they find that, and is as cheap as Python allows: what it
costs is not the contenders'. A few paths are for the benchmark alone.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import Queue, get_context
from typing import cast
from uuid import UUID

import httpx
import uvloop
from typing_extensions import override

from devstack.ports import HOST

_KEY = b'"Message-ID":"<'
_KEY_LENGTH = 36


@dataclass
class Stretch:
    """What came since the last `begin`; times by the monotonic clock, which all processes share."""

    delay: float = 0.0
    calls: int = 0
    first_at: float = 0.0
    last_at: float = 0.0  # of a key that was not there before


class Mailbox:
    def __init__(self) -> None:
        self.stretch = Stretch()
        self.keys: set[bytes] = set()
        self._accepted = 0  # ever, so that no id is given twice

    def take(self, body: bytes) -> bytes:
        """Count a mail; returns the answer."""
        now, stretch = time.monotonic(), self.stretch
        at = body.find(_KEY) + len(_KEY)
        key = body[at : at + _KEY_LENGTH]
        stretch.calls += 1
        self._accepted += 1
        stretch.first_at = stretch.first_at or now
        if key not in self.keys:
            self.keys.add(key)
            stretch.last_at = now
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nX-Message-Id: %022d\r\n\r\n" % self._accepted

    def control(self, line: bytes) -> bytes:
        """Begin a stretch, or say what came in it."""
        verb, path, _ = line.split(b" ")
        if verb == b"DELETE":
            self.stretch, self.keys = Stretch(delay=float(path.rpartition(b"/")[2]) / 1000), set()
            body = b""
        elif path == b"/keys":
            body = b"\n".join(self.keys)
        else:
            found = self.stretch
            body = json.dumps(
                {"calls": found.calls, "keys": len(self.keys), "first_at": found.first_at, "last_at": found.last_at}
            ).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Door(asyncio.Protocol):
    """HTTP/1.1 over kept connections, as much of it as these clients speak."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._rest = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            length = _content_length(head)
            if len(self._rest) < end + 4 + length:
                return
            body, self._rest = self._rest[end + 4 : end + 4 + length], self._rest[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if not head.startswith(b"POST"):
            self._transport.write(self._mailbox.control(head.split(b"\r\n", 1)[0]))
        elif self._mailbox.stretch.delay:
            answer = self._mailbox.take(body)
            asyncio.get_running_loop().call_later(self._mailbox.stretch.delay, self._transport.write, answer)
        else:
            self._transport.write(self._mailbox.take(body))


def _content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"\r\nContent-Length: ")
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


@dataclass(frozen=True)
class Counts:
    """Of one stretch; `seconds` from the first call to the last new key."""

    calls: int
    keys: int
    first_at: float
    last_at: float

    @property
    def seconds(self) -> float:
        return self.last_at - self.first_at


class Receiver:
    """The server as the benchmark sees it."""

    def __init__(self, url: str, pid: int) -> None:
        self.url = url
        self.pid = pid
        self._http = httpx.AsyncClient(base_url=url, timeout=60)

    async def begin(self, delay_ms: float) -> None:
        (await self._http.delete(f"/calls/{delay_ms}")).raise_for_status()

    async def counts(self) -> Counts:
        return Counts(**(await self._http.get("/calls")).json())

    async def keys(self) -> set[UUID]:
        return {UUID(line) for line in (await self._http.get("/keys")).text.splitlines()}


@contextmanager
def running_receiver() -> Iterator[Receiver]:
    context = get_context("spawn")
    ports: Queue[int] = context.Queue()
    server = context.Process(target=_serve, args=(ports,), daemon=True)
    server.start()
    try:
        port = ports.get(timeout=30)
        assert server.pid is not None
        yield Receiver(f"http://{HOST}:{port}", server.pid)
    finally:
        server.terminate()
        server.join()


def _serve(ports: "Queue[int]") -> None:
    async def main() -> None:
        mailbox = Mailbox()
        server = await asyncio.get_running_loop().create_server(lambda: Door(mailbox), HOST, 0, backlog=1024)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())
