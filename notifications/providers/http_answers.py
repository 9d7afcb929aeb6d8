"""Reads one HTTP/1.1 answer as its bytes come (RFC 9112). What is not understood is refused, never guessed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MAX_HEAD_BYTES = 32 * 1024
MAX_ANSWER_BYTES = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: [^\r\n\0]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEX = re.compile(rb"[0-9A-Fa-f]{1,8}")
_MAX_CHUNK_LINE = 1024  # bytes of a chunk's size with its extensions


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
        self._buffer = bytearray()
        self._body = bytearray()  # of chunks
        self._status = 0
        self._headers: dict[str, str] = {}
        self._length: int | None = None  # of the body; None: in chunks, or until the connection closes
        self._is_chunked = False
        self._is_last = False

    @property
    def has_begun(self) -> bool:
        return bool(self._buffer or self._status)

    def feed(self, data: bytes) -> Read | None:
        """The answer, once all of it is there.

        Raises:
            BadAnswerError: it never will be.

        """
        self._buffer += data
        while not self._status:
            end = self._buffer.find(b"\r\n\r\n")
            if end > MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > MAX_HEAD_BYTES):
                raise BadAnswerError
            if end < 0:
                return None
            self._read_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
        return self._read_body()

    def end(self) -> Read | None:
        """The answer where its end is the connection's; None: it is cut off."""
        if not self._status or self._length is not None or self._is_chunked:
            return None
        return Read(self._status, self._headers, bytes(self._buffer), is_last=True)

    def _read_head(self, head: bytes) -> None:
        first, *lines = head.split(b"\r\n")
        found = _STATUS_LINE.fullmatch(first)
        if found is None:
            raise BadAnswerError
        status = int(found[2])
        if status == 101:  # noqa: PLR2004 - another protocol, which nobody asked for
            raise BadAnswerError
        if status < 200:  # noqa: PLR2004 - it goes on with the answer proper
            return
        headers: dict[str, str] = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon or not _NAME.fullmatch(name):
                raise BadAnswerError
            key, text = name.decode().lower(), value.strip(b" \t").decode("utf-8", "surrogateescape")
            if key == "content-length" and headers.get(key, text) != text:
                raise BadAnswerError
            headers[key] = text
        self._status, self._headers = status, headers
        self._is_last = found[1] == b"0" or "close" in headers.get("connection", "").lower()
        self._delimit(status, headers)

    def _delimit(self, status: int, headers: Mapping[str, str]) -> None:
        """By RFC 9112 §6.3."""
        if status in {204, 304}:
            self._length = 0
        elif "transfer-encoding" in headers:
            if headers["transfer-encoding"].lower() != "chunked":
                raise BadAnswerError
            self._is_chunked = True
        elif "content-length" in headers:
            given = headers["content-length"]
            if not (given.isascii() and given.isdecimal()) or int(given) > MAX_ANSWER_BYTES:
                raise BadAnswerError
            self._length = int(given)

    def _read_body(self) -> Read | None:
        if self._is_chunked:
            return self._whole(bytes(self._body)) if self._read_chunks() else None
        if self._length is None:
            if len(self._buffer) > MAX_ANSWER_BYTES:
                raise BadAnswerError
            return None
        if len(self._buffer) < self._length:
            return None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        return self._whole(body)

    def _whole(self, body: bytes) -> Read:
        # What comes after the answer answers nothing that was asked.
        return Read(self._status, self._headers, body, is_last=self._is_last or bool(self._buffer))

    def _read_chunks(self) -> bool:
        while (line := self._chunk_line()) is not None:
            begin = len(line) + 2
            size = _chunk_size(line)
            if size == 0:
                return self._read_trailer(begin)
            end = begin + size
            if len(self._body) + size > MAX_ANSWER_BYTES:
                raise BadAnswerError
            if len(self._buffer) < end + 2:
                return False
            if self._buffer[end : end + 2] != b"\r\n":
                raise BadAnswerError
            self._body += self._buffer[begin:end]
            del self._buffer[: end + 2]
        return False

    def _chunk_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n")
        if end > _MAX_CHUNK_LINE or (end < 0 and len(self._buffer) > _MAX_CHUNK_LINE):
            raise BadAnswerError
        return bytes(self._buffer[:end]) if end >= 0 else None

    def _read_trailer(self, begin: int) -> bool:
        """Fields after the last chunk, which say nothing that matters here."""
        if self._buffer[begin : begin + 2] == b"\r\n":
            del self._buffer[: begin + 2]
            return True
        end = self._buffer.find(b"\r\n\r\n", begin)
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadAnswerError
            return False
        del self._buffer[: end + 4]
        return True


def _chunk_size(line: bytes) -> int:
    text = line.partition(b";")[0].strip(b" \t")
    if not _HEX.fullmatch(text):
        raise BadAnswerError
    return int(text, 16)
