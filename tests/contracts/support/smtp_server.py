"""An SMTP server that plays what a test says, command by command."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum, auto


class Fault(Enum):
    HANG = auto()
    RESET = auto()
    CLOSE = auto()
    GARBAGE = auto()  # an answer that is not SMTP
    TRICKLE = auto()  # an answer that never ends


@dataclass
class Envelope:
    sender: str = ""
    recipient: str = ""
    data: bytes = b""


@dataclass
class ScriptedSmtp:
    """Answers each command as RFC 5321 would, except where `script` holds the next answers to it.

    Keys are CONNECT, EHLO, AUTH, MAIL, RCPT, DATA, RSET and END (the final dot).
    """

    script: dict[str, list[bytes | Fault]] = field(default_factory=dict)
    extensions: tuple[str, ...] = ("SIZE 100000", "SMTPUTF8", "8BITMIME", "ENHANCEDSTATUSCODES")
    accepted: list[Envelope] = field(default_factory=list)
    written: list[Envelope] = field(default_factory=list)  # whole texts, accepted or not
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    most_open: int = 0
    port: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            self.stopping.set()
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        self.most_open = max(self.most_open, self.open_connections)
        try:
            envelope = Envelope()
            await self._answer("CONNECT", b"220 scripted", writer)
            while line := await reader.readline():
                self.commands.append(line.decode().strip())
                verb = self.commands[-1].upper().partition(" ")[0]
                envelope = await self._command(verb, line.decode().strip(), envelope, reader, writer)
                if verb == "QUIT":
                    break
        except (OSError, asyncio.IncompleteReadError, _GoneError):
            pass  # the script or the client ended it
        finally:
            self.open_connections -= 1
            writer.close()

    async def _command(
        self, verb: str, line: str, envelope: Envelope, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> Envelope:
        if verb == "EHLO":
            lines = ["scripted", *self.extensions]
            greeting = [f"250{'-' if number < len(lines) else ' '}{text}" for number, text in enumerate(lines, 1)]
            await self._answer("EHLO", "\r\n".join(greeting).encode(), writer)
        elif verb == "MAIL":
            envelope = Envelope(_path(line))
            await self._answer("MAIL", b"250 2.1.0 ok", writer)
        elif verb == "RCPT":
            if await self._answer("RCPT", b"250 2.1.5 ok", writer):
                envelope.recipient = _path(line)
        elif verb == "DATA":
            await self._data(envelope, reader, writer)
        else:
            await self._answer(verb, b"221 bye" if verb == "QUIT" else b"250 2.0.0 ok", writer)
        return envelope

    async def _data(self, envelope: Envelope, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._answer("DATA", b"354 go on" if envelope.recipient else b"503 5.5.1 no recipient", writer):
            return
        text = await reader.readuntil(b"\r\n.\r\n")
        envelope.data = text.removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.")
        self.written.append(envelope)
        if await self._answer("END", b"250 2.0.0 queued", writer):
            self.accepted.append(envelope)

    async def _answer(self, key: str, usual: bytes, writer: asyncio.StreamWriter) -> bool:
        """Say what the script has for it; true if it was a good answer."""
        answers = self.script.get(key)
        answer = answers.pop(0) if answers else usual
        if isinstance(answer, bytes):
            writer.write(answer + b"\r\n")
            return answer[:1] in b"23"
        await self._break(answer, writer)
        raise _GoneError

    async def _break(self, fault: Fault, writer: asyncio.StreamWriter) -> None:
        if fault is Fault.HANG:
            await self.stopping.wait()
        elif fault is Fault.GARBAGE:
            writer.write(b"HTTP/1.1 200 OK\r\n")
        elif fault is Fault.RESET:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        elif fault is Fault.TRICKLE:
            while not self.stopping.is_set():
                writer.write(b"250-and more\r\n")
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), 0.02)


class _GoneError(Exception):
    """The connection is to end here."""


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
