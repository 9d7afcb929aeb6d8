"""The one seam of the send path's HTTP client (docs/adr/0001-send-path-http-client.md, 0031).

HTTP/1.1 and no more of it than a send needs: one total deadline, a bounded answer, no redirects, cookies, compression
or repeats, and a sure word on whether the vendor may have seen the request.
"""

import asyncio
import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import orjson

from notifications.providers.base import (
    DeliveryError,
    ErrorScope,
    PermanentDeliveryError,
    TransientDeliveryError,
    UnknownOutcome,
)
from notifications.providers.http_answers import MAX_ANSWER_BYTES, BadAnswerError
from notifications.providers.http_connections import Connections, Origin

__all__ = ["MAX_ANSWER_BYTES", "USER_AGENT", "Answer", "HttpClient", "encode_json"]

USER_AGENT = "tidings/0.1.0"
_VISIBLE = re.compile(r"[!-~]+")  # what a request's target may consist of
_OWN_FIELDS = f"User-Agent: {USER_AGENT}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> dict[str, Any]:
        """The JSON object in the body; empty when it holds anything else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def retry_after(self) -> timedelta | None:
        """How long the vendor asks to wait (RFC 9110 §10.2.3: seconds, or a date by the vendor's own clock)."""
        value = self.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdecimal():
            return timedelta(seconds=min(int(value), 10**6))
        until = _http_date(value)
        if until is None:
            return None
        return max(until - (_http_date(self.headers.get("date", "")) or datetime.now(UTC)), timedelta())


def _http_date(value: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(value)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def encode_json(document: Any) -> bytes:
    """UTF-8 without escapes, as vendors count their limits; a lone surrogate, which none of them takes, becomes `?`."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:  # a lone surrogate: rare, and the slower one can write it
        pass
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class _BadUrlError(ValueError):
    """It is no absolute http or https URL."""


@dataclass(frozen=True, slots=True)
class _Place:
    origin: Origin
    authority: str
    target: str


@lru_cache(maxsize=1024)
def _place(url: str) -> _Place:
    """Where a URL leads; kept, since a provider has few."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _BadUrlError from None
    target = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    host = parts.hostname or ""
    named = _VISIBLE.fullmatch(host) and _VISIBLE.fullmatch(target)
    if parts.scheme not in {"http", "https"} or not named or "@" in parts.netloc:
        raise _BadUrlError
    is_tls = parts.scheme == "https"
    return _Place(Origin(host, port or (443 if is_tls else 80), is_tls), parts.netloc, target)


class HttpClient:
    """Requests to one vendor over kept connections; how many run at once is bounded by the worker's slots.

    `vendor` begins the codes of its errors; `timeout_seconds` bounds a call where its deadline is later.
    """

    def __init__(self, vendor: str, *, timeout_seconds: float) -> None:
        self._vendor = vendor
        self._timeout = timeout_seconds
        self._connections = Connections()

    async def request(
        self, method: str, url: str, *, deadline: float, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Make one call that ends by `deadline` (a `time.monotonic()` instant); never redirected, never repeated.

        Raises:
            TransientDeliveryError: no byte of the request was written.
            UnknownOutcome: it was, and no whole answer came.
            PermanentDeliveryError: the URL is none, or a header cannot be written (scope config).

        """
        remaining = min(deadline - time.monotonic(), self._timeout)
        written = False
        failure: DeliveryError
        try:
            place = _place(url)
            request = _encoded(method, place, headers, body)
            async with asyncio.timeout(remaining):
                connection = await self._connections.take(place.origin)
                try:
                    written = True  # from just before the first byte on, so that it is never wrongly false
                    read = await connection.exchange(request)
                finally:
                    self._connections.give_back(place.origin, connection)
            return Answer(read.status, read.headers, read.body)
        except TimeoutError:
            failure = self._failure("timeout", f"no answer within {max(remaining, 0):.1f} s", written=written)
        except _BadUrlError:
            failure = self._unusable("bad_url", "the vendor's base URL is not one: check the settings")
        except _BadHeaderError:
            failure = self._unusable("bad_header", "a header has a line break in it: check the account's settings")
        except (BadAnswerError, OSError) as error:
            failure = self._failure(_short(error, written=written), "the connection failed", written=written)
        # Raised out here so that it carries no cause: the client's own errors may quote what was sent.
        raise failure

    async def close(self) -> None:
        await self._connections.close()

    def _failure(self, code: str, detail: str, *, written: bool) -> DeliveryError:
        if written:
            return UnknownOutcome(f"{self._vendor}_{code}", f"{detail} after the request was written")
        return TransientDeliveryError(f"{self._vendor}_{code}", f"{detail} before the request was written", outage=True)

    def _unusable(self, code: str, detail: str) -> DeliveryError:
        return PermanentDeliveryError(f"{self._vendor}_{code}", detail, scope=ErrorScope.CONFIG)


class _BadHeaderError(ValueError):
    """It would end before its end."""


def _encoded(method: str, place: _Place, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if fields.count("\n") != len(headers) or fields.count("\r") != len(headers) or "\0" in fields:
        raise _BadHeaderError
    length = f"Content-Length: {len(body)}\r\n" if body or method != "GET" else ""
    head = f"{method} {place.target} HTTP/1.1\r\nHost: {place.authority}\r\n{_OWN_FIELDS}{fields}{length}\r\n"
    return head.encode() + body


def _short(error: Exception, *, written: bool) -> str:
    """A machine word for a failed connection, without the error's own text."""
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, BadAnswerError):
        return "bad_answer"
    return "reset" if written else "connect"
