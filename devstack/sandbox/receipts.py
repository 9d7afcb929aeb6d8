"""Receipts as the vendors send them, signed as they sign; off until switched on.

`PUT /api/receipts/{twilio|meta}` with a document, `DELETE` switches off; every field may be left out:

| field | meaning |
|---|---|
| `statuses` | the vendor's words, in order (default `["sent", "delivered"]`; `read`, `failed`, `undelivered`) |
| `code` | the vendor's error code beside `failed` and `undelivered` |
| `delay_ms` | before each |
| `double` | each twice |
| `reorder` | the last first |
| `drop` | 0 to 1, the share that is never sent |
| `forge` | signed with another secret |
| `url` | where Meta's go (Twilio's go to the message's StatusCallback); loopback, or the only other host there is |
| `seed` | of the random numbers behind `drop` |
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Annotated
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

REPORTING = ("twilio", "meta")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_TRIES, _PAUSE_SECONDS = 3, 0.5
_FAILURES = frozenset({"failed", "undelivered"})


class ReceiptKnobs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    statuses: tuple[Annotated[str, Field(pattern="^[a-z_]+$")], ...] = ("sent", "delivered")
    code: int | None = None
    delay_ms: float = Field(0, ge=0, le=600_000)
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


Compose = Callable[[str, ReceiptKnobs], Callback | None]  # of one of the vendor's words


class ReceiptSender:
    """Sends what the vendors' knobs say about each accepted message, in the background."""

    def __init__(self) -> None:
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
            words = [word for word in knobs.statuses for _ in range(1 + knobs.double)]
            words = [word for word in words if random.random() >= knobs.drop]
            task = asyncio.create_task(self._send_all(words[::-1] if knobs.reorder else words, knobs, compose))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_all(self, words: list[str], knobs: ReceiptKnobs, compose: Compose) -> None:
        for word in words:
            await asyncio.sleep(knobs.delay_ms / 1000)
            callback = compose(word, knobs)
            if callback is not None and _may_go_to(callback.url, knobs):
                await self._send(callback)

    async def _send(self, callback: Callback) -> None:
        """As the vendors do, again where the server cannot be reached or has a fault."""
        self._http = self._http or aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))
        for _ in range(_TRIES):
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with self._http.post(
                    callback.url, data=callback.body, headers=callback.headers, allow_redirects=False
                ) as answer:
                    if answer.status < 500:  # noqa: PLR2004 - HTTP
                        return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _switch_on(self, request: web.Request) -> web.Response:
        try:
            knobs = ReceiptKnobs.model_validate_json(await request.read() or b"{}")
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors())
            raise web.HTTPUnprocessableEntity(text=wrong) from None
        self._knobs[_provider(request)] = knobs, Random(knobs.seed)  # noqa: S311 - chance, not secrecy
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


def twilio_callback(
    form: dict[str, str], sid: str, account: str, secret: str, word: str, knobs: ReceiptKnobs
) -> Callback | None:
    """A status callback; None where the message named no address for it."""
    url = form.get("StatusCallback")
    if not url:
        return None
    fields = {"MessageSid": sid, "MessageStatus": word, "SmsSid": sid, "SmsStatus": word, "AccountSid": account}
    fields |= {"To": form["To"], "From": form.get("From", ""), "ApiVersion": "2010-04-01"}
    if knobs.code is not None and word in _FAILURES:
        fields["ErrorCode"] = str(knobs.code)
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    digest = hmac.new(_key(secret, knobs), text.encode(), hashlib.sha1).digest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
    }
    return Callback(url, headers, urlencode(fields).encode())


def meta_callback(
    message: dict[str, object], wamid: str, secret: str, word: str, knobs: ReceiptKnobs
) -> Callback | None:
    """A webhook with one status; None where no address is set."""
    if knobs.url is None:
        return None
    status: dict[str, object] = {
        "id": wamid,
        "status": word,
        "timestamp": str(int(time.time())),
        "recipient_id": str(message["to"]).lstrip("+"),
    }
    if "biz_opaque_callback_data" in message:
        status["biz_opaque_callback_data"] = message["biz_opaque_callback_data"]
    if word in _FAILURES:
        status["errors"] = [{"code": knobs.code or 131000, "title": "Something went wrong"}]
    value = {"messaging_product": "whatsapp", "statuses": [status]}
    entry = {"id": "100000000000002", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    signature = hmac.new(_key(secret, knobs), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
    return Callback(knobs.url, headers, body)


def _key(secret: str, knobs: ReceiptKnobs) -> bytes:
    return (f"not-{secret}" if knobs.forge else secret).encode()


def _may_go_to(url: str, knobs: ReceiptKnobs) -> bool:
    """Nothing leaves for an address that nobody here asked for."""
    asked = {urlsplit(knobs.url).hostname} if knobs.url is not None else set()
    return urlsplit(url).hostname in _LOOPBACK | asked


def _provider(request: web.Request) -> str:
    provider = request.match_info["provider"]
    if provider not in REPORTING:
        raise web.HTTPNotFound(text=f"Use one of: {', '.join(REPORTING)}.")
    return provider
