"""Receipts as the vendors send them, signed as they sign; off until switched on.

`PUT /api/receipts/{twilio|meta|sendgrid}` with a document, `DELETE` switches off; every field may be left out:

| field | meaning |
|---|---|
| `statuses` | the vendor's words, in order (default `["sent", "delivered"]`, SendGrid's `["processed", "delivered"]`) |
| `code` | the vendor's error code beside `failed` and `undelivered`; SendGrid's `status` beside `bounce` |
| `delay_ms` | before each |
| `batch_ms` | how long SendGrid's are gathered into one request (default 20) |
| `double` | each twice |
| `reorder` | the last first |
| `drop` | 0 to 1, the share that is never sent |
| `forge` | signed with another secret |
| `url` | where they go (default: below `--webhooks`, or for Twilio the message's StatusCallback) |
| `seed` | of the random numbers behind `drop` |

To an address that only a message named they go on loopback alone. The words: Twilio `sent`, `delivered`, `read`,
`failed`, `undelivered`; Meta `sent`, `delivered`, `read`, `failed`; SendGrid `processed`, `deferred`, `delivered`,
`open`, `click`, `bounce`, `blocked` (a soft bounce), `dropped`, `spamreport`, `unsubscribe`.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Annotated
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from notifications.sandbox_signing import SandboxSigning

_WORDS = {"twilio": ("sent", "delivered"), "meta": ("sent", "delivered"), "sendgrid": ("processed", "delivered")}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TRIES, _PAUSE_SECONDS = 3, 0.5


class ReceiptKnobs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    statuses: tuple[Annotated[str, Field(pattern="^[a-z_]+$")], ...] = ()
    code: int | str | None = None
    delay_ms: float = Field(0, ge=0, le=600_000)
    batch_ms: float = Field(20, ge=0, le=60_000)
    double: bool = False
    reorder: bool = False
    drop: float = Field(0, ge=0, le=1)
    forge: bool = False
    url: str | None = Field(None, pattern="^https?://")
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """One request to a webhook."""

    url: str
    headers: dict[str, str]
    body: bytes


# Of one of the vendor's words; None: nothing is said, or another call says it.
Compose = Callable[[str, ReceiptKnobs, SandboxSigning], Awaitable[Callback | None]]


class ReceiptSender:
    """Sends what the vendors' knobs say about each accepted message, in the background.

    `webhooks` is the address above the vendors' webhooks.
    """

    def __init__(self, signing: SandboxSigning, webhooks: str | None = None) -> None:
        self._signing = signing
        self._webhooks = webhooks
        self._knobs: dict[str, tuple[ReceiptKnobs, Random]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession | None = None

    def add_routes(self, app: web.Application) -> None:
        app.router.add_put("/api/receipts/{provider}", self._switch_on)
        app.router.add_delete("/api/receipts/{provider}", self._switch_off)
        app.on_cleanup.append(self._close)

    def report(self, provider: str, compose: Compose) -> None:
        """Begin to report about a message that was just accepted."""
        if provider in self._knobs:
            knobs, random = self._knobs[provider]
            words = [word for word in knobs.statuses or _WORDS[provider] for _ in range(1 + knobs.double)]
            words = [word for word in words if random.random() >= knobs.drop]
            task = asyncio.create_task(self._send_all(words[::-1] if knobs.reorder else words, knobs, compose))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_all(self, words: list[str], knobs: ReceiptKnobs, compose: Compose) -> None:
        signing = self._signing.forged() if knobs.forge else self._signing
        for word in words:
            await asyncio.sleep(knobs.delay_ms / 1000)
            callback = await compose(word, knobs, signing)
            if callback is not None and _may_go_to(callback.url, knobs):
                await self.send(callback)

    async def send(self, callback: Callback) -> int | None:
        """As the vendors do, again where the server is not reached or has a fault; returns the last answer's status."""
        status = None
        self._http = self._http or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        for _ in range(_TRIES):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._http.post(
                    callback.url, data=callback.body, headers=callback.headers, allow_redirects=False
                ) as answer:
                    status = answer.status
                    if status < 500:  # noqa: PLR2004 - HTTP
                        break
            await asyncio.sleep(_PAUSE_SECONDS)
        return status

    async def _switch_on(self, request: web.Request) -> web.Response:
        try:
            knobs = ReceiptKnobs.model_validate_json(await request.read() or b"{}")
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors())
            raise web.HTTPUnprocessableEntity(text=wrong) from None
        provider = _provider(request)
        if knobs.url is None and self._webhooks is not None:
            knobs = knobs.model_copy(update={"url": f"{self._webhooks.rstrip('/')}/{provider}"})
        self._knobs[provider] = knobs, Random(knobs.seed)  # noqa: S311 - chance, not secrecy
        return web.json_response(knobs.model_dump(exclude_defaults=True))

    async def _switch_off(self, request: web.Request) -> web.Response:
        self._knobs.pop(_provider(request), None)
        return web.Response(status=204)

    async def _close(self, _app: web.Application) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http is not None:
            await self._http.close()


def _may_go_to(url: str, knobs: ReceiptKnobs) -> bool:
    """Nothing leaves for an address that nobody here asked for."""
    asked = {urlsplit(knobs.url).hostname} if knobs.url is not None else set()
    return urlsplit(url).hostname in _LOOPBACK | asked


def _provider(request: web.Request) -> str:
    provider = request.match_info["provider"]
    if provider not in _WORDS:
        raise web.HTTPNotFound(text=f"Use one of: {', '.join(_WORDS)}.")
    return provider
