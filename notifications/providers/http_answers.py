"""One HTTP/1.1 answer as its bytes come, parsed by llhttp. What is not understood is refused, never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass

import httptools

MAX_ANSWER_BYTES = 64 * 1024
MAX_WIRE_BYTES = 2 * MAX_ANSWER_BYTES  # of the body, and of head, chunk sizes and trailer around it
_FIRST_FINAL_STATUS = 200  # what is below goes on with the answer proper


class BadAnswerError(Exception):
    """It is not HTTP, longer than allowed, or was cut off."""


@dataclass(frozen=True, slots=True)
class Read:
    """A whole answer; header names are in lower case. `is_last`: nothing more can be asked over its connection."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_last: bool


class AnswerReader:
    """`feed` it until it gives the answer; `end` when the other side closes."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._wire = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._may_go_on = False
        self._ends_with_connection = False
        self._is_whole = False
        self._has_more = False

    @property
    def has_begun(self) -> bool:
        return self._wire > 0

    def feed(self, data: bytes) -> Read | None:
        """The answer, once all of it is there.

        Raises:
            BadAnswerError: it never will be.

        """
        self._wire += len(data)
        if self._wire > MAX_WIRE_BYTES:
            raise BadAnswerError
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if not self._is_whole:
                raise BadAnswerError from None
            self._has_more = True
        if len(self._body) > MAX_ANSWER_BYTES:
            raise BadAnswerError
        return self._answer() if self._is_whole else None

    def end(self) -> Read | None:
        """The answer where its end is the connection's; None: it is cut off."""
        return self._answer() if self._ends_with_connection else None

    def _answer(self) -> Read:
        # What comes after the answer answers nothing that was asked.
        return Read(self._status, self._headers, bytes(self._body), is_last=not self._may_go_on or self._has_more)

    # What the parser calls.
    def on_message_begin(self) -> None:
        self._has_more = self._is_whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._is_whole:
            self._headers[name.decode("ascii").lower()] = value.strip(b" \t").decode("utf-8", "surrogateescape")

    def on_headers_complete(self) -> None:
        if self._is_whole:
            return
        if self._headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise BadAnswerError
        self._status = self._parser.get_status_code()
        self._may_go_on = self._parser.should_keep_alive()
        has_end = self._headers.keys() & {"content-length", "transfer-encoding"} or self._status in {204, 304}
        self._ends_with_connection = self._status >= _FIRST_FINAL_STATUS and not has_end

    def on_body(self, part: bytes) -> None:
        if not self._is_whole:
            self._body += part

    def on_message_complete(self) -> None:
        if self._status < _FIRST_FINAL_STATUS:
            self._headers = {}
        else:
            self._is_whole = True
