"""Bounds on request bodies, before anything reads them: size, time to arrive, no compression."""

import asyncio
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics import RECEIPTS
from api.problems import ENCODED_BODY, REQUEST_TIMEOUT, TOO_LARGE, problem_response
from notifications.providers.reporting import REPORTING

MAX_BODY = 256 * 1024 + 16 * 1024  # an event of 256 KiB, and slack for whitespace and an id that is added
MAX_WEBHOOK = 3 * 2**20  # a vendor's batch; Meta's are the largest, with up to 3 MB
MAX_FORM = 64 * 1024  # what the pages of the console and behind unsubscribe links send
WEBHOOKS = "/webhooks/"
# Their routes take the body as it comes, within limits of their own (api/streams.py).
STREAMED = re.compile(r"POST /v1/audiences/lists|POST /v1/imports|PATCH /v1/imports/[^/]+")
PAGES = ("/u/", "/sign-in", "/sign-out", "/campaigns/")
BODY_SECONDS = 30.0


class _TooLargeError(Exception):
    """More bytes came than are taken."""


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The whole body, or None when the client went away.

    Raises:
        _TooLargeError: as soon as one byte too many came.

    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _TooLargeError
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


class BodyLimit:
    """Reads the body itself, so that a slow or endless one never reaches a handler."""

    def __init__(self, app: ASGIApp, *, max_body: int = MAX_BODY, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._max_body = max_body
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if headers.get("content-encoding", "identity") != "identity":
            await problem_response(ENCODED_BODY, "the body is compressed")(scope, receive, send)
            return
        if STREAMED.fullmatch(f"{scope['method']} {scope['path']}"):
            await self._app(scope, receive, send)
            return
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._limit(scope):
            await self._refuse_large(scope, receive, send)
            return
        await self._with_body(scope, receive, send)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                body = await _read(receive, self._limit(scope))
        except _TooLargeError:
            await self._refuse_large(scope, receive, send)
        except TimeoutError:
            response = problem_response(
                REQUEST_TIMEOUT, f"no whole body in {self._seconds:g} s", headers={"Connection": "close"}
            )
            await response(scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _replay(body, receive), send)

    def _limit(self, scope: Scope) -> int:
        if scope["path"].startswith(WEBHOOKS):
            return MAX_WEBHOOK
        return MAX_FORM if scope["path"].startswith(PAGES) else self._max_body

    async def _refuse_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(WEBHOOKS):
            provider = scope["path"].removeprefix(WEBHOOKS).partition("/")[0]
            RECEIPTS.labels(provider if provider in REPORTING else "unknown", "too_large").inc()
        response = problem_response(
            TOO_LARGE, f"a body has at most {self._limit(scope)} bytes", headers={"Connection": "close"}
        )
        await response(scope, receive, send)
