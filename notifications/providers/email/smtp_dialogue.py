"""Commands and answers on a connection that aiosmtplib has opened (docs/adr/0023).

aiosmtplib connects, says EHLO, starts TLS and authenticates. It then waits for the answer to each command before the
next, and loses answers that arrive together; here they are read one by one, so that commands can go out together where
the server has PIPELINING (RFC 2920).
"""

import asyncio
import time
from collections import deque
from typing import NamedTuple

from typing_extensions import override

MAX_ANSWER = 65_536  # bytes of one answer; RFC 5321 §4.5.3.1.5 has 512 a line


class Answer(NamedTuple):
    code: int
    lines: list[bytes]

    @property
    def text(self) -> str:
        """Without the codes, over as many lines as it came; only a refusal needs it."""
        return "\n".join(line[4:].decode("utf-8", "surrogateescape").strip() for line in self.lines)


class NotSmtpError(OSError):
    """The server said something that is no SMTP."""


class Dialogue(asyncio.Protocol):
    """Takes a connection over. What the server says unasked is forgotten by `begin`.

    A mail's time limit costs no timer of its own: the connection has one, which looks for the limit that holds when it
    fires. A limit that passes ends the dialogue.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._answers: deque[Answer] = deque()
        self._lines: list[bytes] = []  # of the answer that is coming in
        self._rest = b""
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._end: OSError | None = None
        self._limit: float | None = None  # the deadline of the mail that is under way
        self._timer: asyncio.TimerHandle | None = None
        self._fires = 0.0
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        return self._end is None and not self._transport.is_closing()

    def begin(self, deadline: float) -> None:
        """Forget what nobody asked for, such as a warning before the server hangs up.

        From the deadline (of `time.monotonic`) on, `say` and `answer` raise TimeoutError until `rest` is called.
        """
        self._answers.clear()
        self._limit = deadline
        if self._timer is None or deadline < self._fires:
            self._set_timer(deadline)

    def rest(self) -> None:
        """No mail is under way."""
        self._limit = None

    def say(self, octets: bytes) -> None:
        """Raises ConnectionError where the connection is gone."""
        if not self.is_open:
            raise self._end or ConnectionResetError("closed")
        self._transport.write(octets)

    async def answer(self) -> Answer:
        """The next answer.

        Raises:
            ConnectionError: the server hung up before it came.
            TimeoutError: the deadline passed before it came.
            NotSmtpError: it is none.

        """
        while not self._answers:
            if self._end is not None:
                raise self._end
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._answers.popleft()

    @override
    def data_received(self, data: bytes) -> None:
        self._size += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line[:3].isdigit() or len(line) < 3:  # noqa: PLR2004 - RFC 5321 §4.2
                return self._finish(NotSmtpError("an answer that is not SMTP"))
            self._lines.append(line)
            if line[3:4] != b"-":
                self._answers.append(Answer(int(line[:3]), self._lines))
                self._lines, self._size = [], len(self._rest)
        if self._size > MAX_ANSWER:
            return self._finish(NotSmtpError("an answer without end"))
        if self._answers:
            self._wake()
        return None

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        end = ConnectionResetError("the server hung up")
        end.__cause__ = exc
        self._finish(end)
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = at
        self._timer = asyncio.get_running_loop().call_later(at - time.monotonic(), self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        self._timer = None
        if self._limit is None:
            return
        if time.monotonic() < self._limit:
            self._set_timer(self._limit)
        else:
            self._finish(TimeoutError("no answer by the deadline"))

    def _finish(self, end: OSError) -> None:
        if self._end is None:
            self._end = end
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
