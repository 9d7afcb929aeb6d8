"""An HTTP server that plays what a test says, byte for byte."""

import asyncio
import contextlib
import json
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

TRICKLE_SECONDS = 0.02


class Misbehaviour(Enum):
    HANG = auto()  # the request is read, nothing is answered
    RESET = auto()  # the request is read, then RST
    CLOSE = auto()  # the request is read, then FIN
    CUT = auto()  # half of an accepting answer, then FIN
    TRICKLE = auto()  # an accepting answer that never ends, byte by byte
    HUGE = auto()  # an accepting answer of 10 MB
    GARBAGE = auto()  # not HTTP


@dataclass(frozen=True)
class Reply:
    status: int
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None  # instead of `document`

    def encoded(self) -> bytes:
        body = json.dumps(self.document).encode() if self.body is None else self.body
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"HTTP/1.1 {self.status} X\r\n{head}\r\n".encode() + body


@dataclass(frozen=True)
class Received:
    method: str
    target: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class ScriptedHttp:
    """Plays `script` for the paths that end in `scripted_suffix`, then `accepted`; other paths get `elsewhere`."""

    def __init__(self, *, scripted_suffix: str, accepted: Reply, elsewhere: Reply | None = None) -> None:
        self.script: deque[Reply | Misbehaviour] = deque()
        self.elsewhere_script: deque[Reply | Misbehaviour] = deque()
        self.received: list[Received] = []  # on the scripted paths
        self.received_elsewhere: list[Received] = []
        self.connections = 0
        self.port = 0
        self._suffix = scripted_suffix
        self._accepted = accepted
        self._elsewhere = elsewhere or Reply(404, {})
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            self._stopping.set()
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await _read(reader)) is not None:
                is_scripted = request.target.partition("?")[0].endswith(self._suffix)
                (self.received if is_scripted else self.received_elsewhere).append(request)
                script = self.script if is_scripted else self.elsewhere_script
                action = script.popleft() if script else (self._accepted if is_scripted else self._elsewhere)
                if isinstance(action, Reply):
                    writer.write(action.encoded())
                    continue
                await self._misbehave(action, writer)
                return
        except OSError:
            pass  # the client went away, as some tests want it to
        finally:
            writer.close()

    async def _misbehave(self, action: Misbehaviour, writer: asyncio.StreamWriter) -> None:
        accepted = self._accepted.encoded()
        if action is Misbehaviour.HANG:
            await self._stopping.wait()
        elif action is Misbehaviour.RESET:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif action is Misbehaviour.CUT:
            writer.write(accepted[:-5])
        elif action is Misbehaviour.GARBAGE:
            writer.write(b"\x16\x03\x01 not HTTP at all\r\n\r\n")
        elif action is Misbehaviour.HUGE:
            body = b'{"name":"' + b"x" * 10_000_000
            writer.write(Reply(self._accepted.status, body=body).encoded())
            await writer.drain()
        elif action is Misbehaviour.TRICKLE:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            while not self._stopping.is_set():
                writer.write(b" ")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), TRICKLE_SECONDS)


async def _read(reader: asyncio.StreamReader) -> Received | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    return Received(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))
