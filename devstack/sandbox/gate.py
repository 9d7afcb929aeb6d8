"""What every request to an HTTP vendor passes: the switch and the fault knobs, around the vendor's own judgement."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Protocol, cast

from aiohttp import web

from devstack.sandbox.faults import ErrorKnob, FaultBoard, Strike

_RUBBISH = b"<html><head><title>Welcome</title></head><body>Please log in to the network.</bo"
_LINGER_ZERO = struct.pack("ii", 1, 0)
_HANG_POLL_SECONDS = 0.2

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Refusal(Exception):  # noqa: N818 - it is the vendor's answer
    """The vendor's own answer to a request that it does not take."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"refused with {status}")
        self.status = status
        self.body = body
        self.headers = headers or {}


class Vendor(Protocol):
    """One HTTP API. `handle` judges, keeps and answers without waiting, so that no fault can come between."""

    name: str

    def recipient_of(self, request: web.Request, body: bytes, /) -> str | None:
        """Whom the request is for, as far as that can be told; never raises."""
        ...

    def handle(self, request: web.Request, body: bytes, /) -> web.Response:
        """Accept the request.

        Raises:
            Refusal: the vendor would refuse it.

        """
        ...

    def fault(self, knob: ErrorKnob) -> Refusal:
        """The vendor's error body for a status and code of the fault knobs; 503 where neither is given."""
        ...


class Gate:
    def __init__(self, board: FaultBoard, closing: asyncio.Event) -> None:
        self._board = board
        self._closing = closing

    def guard(self, vendor: Vendor) -> Handler:
        async def serve(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            if not self._board.is_enabled(vendor.name):
                return _answer(vendor.fault(ErrorKnob()))
            strike = self._board.strike(vendor.name, vendor.recipient_of(request, body))
            early = await self._before(request, vendor, strike)
            if early is not None:
                await self._wait(strike.latency)
                return early
            try:
                response = vendor.handle(request, body)
            except Refusal as refused:
                response = _answer(refused)
            await self._wait(strike.latency)
            return await self._after(request, strike, response)

        return serve

    async def _before(self, request: web.Request, vendor: Vendor, strike: Strike) -> web.Response | None:
        """Whatever keeps the request from being accepted."""
        if strike.hang == "before":
            return await self._hang(request)
        if strike.reset == "before":
            return await self._reset(request)
        if strike.rubbish == "before":
            return _rubbish()
        if strike.throttle is not None:
            refusal = vendor.fault(ErrorKnob(status=429))
            after = strike.throttle.retry_after
            retry = {"Retry-After": _retry_after(after, strike.throttle.format)} if after is not None else {}
            return _answer(Refusal(refusal.status, refusal.body, {**refusal.headers, **retry}))
        return _answer(vendor.fault(strike.error)) if strike.error is not None else None

    async def _after(self, request: web.Request, strike: Strike, response: web.Response) -> web.StreamResponse:
        """Whatever spoils the answer to a request that was judged."""
        if strike.hang == "after":
            return await self._hang(request)
        if strike.reset == "after":
            return await self._reset(request)
        if strike.rubbish == "after":
            return _rubbish()
        if strike.trickle > 0:
            return await self._trickle(request, response, strike.trickle)
        return response

    async def _trickle(self, request: web.Request, response: web.Response, pause: float) -> web.StreamResponse:
        body = response.body if isinstance(response.body, bytes) else b""
        slow = web.StreamResponse(status=response.status, headers=response.headers)
        slow.content_length = len(body)
        await slow.prepare(request)
        for position in range(len(body)):
            await slow.write(body[position : position + 1])
            await self._wait(pause)
        await slow.write_eof()
        return slow

    async def _wait(self, seconds: float) -> None:
        """A pause that ends early when the sandbox stops."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), seconds)

    async def _hang(self, request: web.Request) -> web.Response:
        """Never answer; what is returned goes to a connection that is gone."""
        while not self._closing.is_set() and request.transport is not None and not request.transport.is_closing():
            await self._wait(_HANG_POLL_SECONDS)
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _reset(self, request: web.Request) -> web.Response:
        reset_connection(request.transport)
        return await self._hang(request)


def _rubbish() -> web.Response:
    return web.Response(body=_RUBBISH, content_type="text/html")


def reset_connection(transport: asyncio.BaseTransport | None) -> None:
    """Close with a TCP RST, as a crashed peer or a middlebox would, instead of the orderly FIN."""
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    cast(asyncio.WriteTransport, transport).abort()  # uvloop's are transports in all but their class


def parse_json(body: bytes) -> Any:
    """JSON as the vendors read it: without NaN, and never so deep that it hurts.

    Raises:
        ValueError: it is not.

    """
    try:
        return json.loads(body, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _answer(refusal: Refusal) -> web.Response:
    return web.Response(
        status=refusal.status,
        body=json.dumps(refusal.body).encode(),
        content_type="application/json",
        charset="utf-8",
        headers=refusal.headers,
    )


def _retry_after(seconds: int, form: str) -> str:
    if form == "seconds":
        return str(seconds)
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
