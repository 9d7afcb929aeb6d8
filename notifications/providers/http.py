"""The one seam of the send path's HTTP client (docs/adr/0001-send-path-http-client.md).

It adds to aiohttp what a send needs: one total deadline, a bounded answer, and a sure word on whether the vendor may
have seen the request.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any

import aiohttp
import orjson

from notifications.providers.base import (
    DeliveryError,
    ErrorScope,
    PermanentDeliveryError,
    TransientDeliveryError,
    UnknownOutcome,
)

USER_AGENT = "tidings/0.1.0"
MAX_ANSWER_BYTES = 64 * 1024
# Vendors keep idle connections for minutes; closing ours first avoids writing into one that just died.
KEEP_ALIVE_SECONDS = 15.0


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


class HttpClient:
    """Requests to one vendor over kept connections; how many run at once is bounded by the worker's slots.

    `vendor` begins the codes of its errors; `timeout_seconds` bounds a call where its deadline is later.
    """

    def __init__(self, vendor: str, *, timeout_seconds: float) -> None:
        self._vendor = vendor
        self._timeout = timeout_seconds
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self, method: str, url: str, *, deadline: float, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Make one call that ends by `deadline` (a `time.monotonic()` instant); never redirected, never repeated.

        Raises:
            TransientDeliveryError: no byte of the request was written.
            UnknownOutcome: it was, and no whole answer came.
            PermanentDeliveryError: the URL is none (scope config).

        """
        call = SimpleNamespace(written=False)
        remaining = min(deadline - time.monotonic(), self._timeout)
        failure: DeliveryError
        try:
            async with asyncio.timeout(remaining):
                return await self._exchange(method, url, headers, body, call)
        except TimeoutError:
            failure = self._failure("timeout", f"no answer within {max(remaining, 0):.1f} s", written=call.written)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            detail = "the vendor's base URL is not one: check the settings"
            failure = PermanentDeliveryError(f"{self._vendor}_bad_url", detail, scope=ErrorScope.CONFIG)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = self._failure(_short(error), "the connection failed", written=call.written)
        # Raised out here so that it carries no cause: the client's own errors may quote what was sent.
        raise failure

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, call: SimpleNamespace
    ) -> Answer:
        async with self._opened().request(
            method, url, data=body or None, headers=headers, allow_redirects=False, trace_request_ctx=call
        ) as response:
            # One byte more than allowed tells an answer that is too long from one that just fits.
            parts = bytearray()
            while len(parts) <= MAX_ANSWER_BYTES and (part := await response.content.read(MAX_ANSWER_BYTES)):
                parts += part
            if len(parts) > MAX_ANSWER_BYTES:
                response.close()
                raise aiohttp.ClientPayloadError
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, bytes(parts))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_headers_sent.append(_mark_written)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                trace_configs=[trace],
            )
        return self._session

    def _failure(self, code: str, detail: str, *, written: bool) -> DeliveryError:
        if written:
            return UnknownOutcome(f"{self._vendor}_{code}", f"{detail} after the request was written")
        return TransientDeliveryError(f"{self._vendor}_{code}", f"{detail} before the request was written", outage=True)


async def _mark_written(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: Any) -> None:
    """Called just before the first byte goes out, so that `written` is never wrongly false."""
    context.trace_request_ctx.written = True


def _short(error: Exception) -> str:
    """A machine word for a failed connection, without the error's own text."""
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)):
        return "tls"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "connect"
    return "bad_answer" if isinstance(error, (aiohttp.ClientPayloadError, aiohttp.ClientResponseError)) else "reset"
