"""A bare SMTP server, and a sender with nothing but sockets: the two ends of the comparison."""

import asyncio
from collections.abc import Iterator
from typing import cast

from typing_extensions import override

GREETING = b"220 sink ESMTP\r\n"
ABILITIES = b"250-sink\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"
OK, GO_ON, BYE = b"250 2.0.0 ok\r\n", b"354 go on\r\n", b"221 2.0.0 bye\r\n"
END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """Takes every mail and keeps none. Answers to commands that came together go out together."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._rest = b""
        self._is_text = False
        self._transport.write(GREETING)

    @override
    def data_received(self, data: bytes) -> None:
        self._rest += data
        answers = []
        while (end := self._rest.find(END if self._is_text else b"\r\n")) >= 0:
            if self._is_text:
                self._rest, self._is_text = self._rest[end + len(END) :], False
                answers.append(OK)
            else:
                verb, self._rest = self._rest[:4].upper(), self._rest[end + 2 :]
                self._is_text = verb == b"DATA"
                answers.append({b"EHLO": ABILITIES, b"DATA": GO_ON, b"QUIT": BYE}.get(verb, OK))
        self._transport.write(b"".join(answers))


class RawSender(asyncio.Protocol):
    """One connection that sends the same mail over and over: its commands in one write, its text in another."""

    def __init__(self, envelope: bytes, text: bytes) -> None:
        self._writes = (envelope, text)
        self._greeted = self._awaited = 0
        self._is_text = False
        self.ready = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    @override
    def data_received(self, data: bytes) -> None:
        if self._greeted < 2:  # the greeting, then the abilities
            self._greeted += 1
            if self._greeted == 1:
                self.transport.write(b"EHLO bench\r\n")
            else:
                self.ready.set_result(None)
            return
        self._awaited -= data.count(b"\n")
        if not self._awaited:
            self._is_text = not self._is_text
            if self._is_text:
                self._say(1)
            else:
                self._next()

    def run(self, mails: Iterator[int]) -> asyncio.Future[None]:
        """Send one for each element, which connections may share."""
        self._mails = mails
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_text = False
        self._next()
        return self._done

    def _next(self) -> None:
        if next(self._mails, None) is None:
            self._done.set_result(None)
        else:
            self._say(3)

    def _say(self, answers: int) -> None:
        self._awaited = answers
        self.transport.write(self._writes[self._is_text])
