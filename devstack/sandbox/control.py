"""The sandbox's own API: what arrived, the switches and the fault knobs. Errors are RFC 9457 problems."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from devstack.sandbox.faults import FAULTABLE, PROVIDERS, Fault, FaultBoard, check_fault
from devstack.sandbox.inbox import Accepted, Filter, Inbox, Signal

_MAX_LISTED = 1000
_STREAM_POLL_SECONDS = 1.0  # how soon a stream notices that the sandbox stops

Document = TypeVar("Document", bound=BaseModel)


class Switch(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool


class Control:
    def __init__(self, inbox: Inbox, board: FaultBoard, closing: asyncio.Event) -> None:
        self._inbox = inbox
        self._board = board
        self._closing = closing

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/api/health", self.health)
        app.router.add_get("/api/inbox", self.list_entries)
        app.router.add_delete("/api/inbox", self.clear_inbox)
        app.router.add_get("/api/inbox/count", self.count_entries)
        app.router.add_get("/api/inbox/arrivals", self.list_arrivals)
        app.router.add_get("/api/inbox/stream", self.stream_entries)
        app.router.add_get("/api/inbox/{id}", self.get_entry)
        app.router.add_get("/api/providers", self.list_providers)
        app.router.add_put("/api/providers/{provider}", self.switch_provider)
        app.router.add_get("/api/faults", self.list_faults)
        app.router.add_delete("/api/faults", self.clear_faults)
        for path in ("/api/faults/{provider}", "/api/faults/{provider}/{recipient}"):
            app.router.add_put(path, self.set_fault)
            app.router.add_delete(path, self.clear_faults)

    async def health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def list_entries(self, request: web.Request) -> web.Response:
        limit = _limit(request)
        entries = self._inbox.find(_filter(request), limit)
        return web.json_response({"items": [self._inbox.document(entry) for entry in entries]})

    async def count_entries(self, request: web.Request) -> web.Response:
        return web.json_response({"count": self._inbox.count(_filter(request)), **self._inbox.totals()})

    async def list_arrivals(self, request: web.Request) -> web.Response:
        """How fast messages came: only when, so that a great many can be told."""
        return web.json_response({"arrivals": self._inbox.arrivals(request.query.get("provider"))})

    async def get_entry(self, request: web.Request) -> web.Response:
        entry = self._inbox.get(request.match_info["id"])
        if entry is None:
            raise _problem(404, "Not in the inbox", "It was cleared, fell out of the bounded inbox, or never arrived.")
        return web.json_response(self._inbox.document(entry))

    async def clear_inbox(self, _request: web.Request) -> web.Response:
        return web.json_response({"cleared": self._inbox.clear()})

    async def stream_entries(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: `message` per entry (`?brief=1`: without its content), `board` when a switch or knob
        was turned, `reset` before the stream ends because the list has to be loaded again.
        """
        brief = request.query.get("brief") == "1"
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        with self._inbox.feed() as feed, contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await response.write(b"retry: 500\n\n")
            while not self._closing.is_set():
                try:
                    news = await asyncio.wait_for(feed.get(), _STREAM_POLL_SECONDS)
                except TimeoutError:
                    await response.write(b": still here\n\n")
                    continue
                await response.write(self._event(news, brief=brief))
                if news is Signal.RELOAD:
                    break
        return response

    def _event(self, news: Accepted | Signal, *, brief: bool) -> bytes:
        if isinstance(news, Signal):
            return b"event: board\ndata: {}\n\n" if news is Signal.BOARD else b"event: reset\ndata: {}\n\n"
        document = self._inbox.document(news) if not brief else {"id": news.id, "channel": news.channel}
        return f"event: message\nid: {news.id}\ndata: {json.dumps(document)}\n\n".encode()

    async def list_providers(self, _request: web.Request) -> web.Response:
        items = [{"name": name, "enabled": self._board.is_enabled(name)} for name in PROVIDERS]
        return web.json_response({"items": items})

    async def switch_provider(self, request: web.Request) -> web.Response:
        provider = _provider(request, PROVIDERS)
        switch = await _body(request, Switch)
        self._board.enable(provider, switch.enabled)
        self._inbox.announce(Signal.BOARD)
        return web.json_response({"name": provider, "enabled": switch.enabled})

    async def list_faults(self, _request: web.Request) -> web.Response:
        return web.json_response({"items": self._board.document()})

    async def set_fault(self, request: web.Request) -> web.Response:
        provider = _provider(request, FAULTABLE)
        fault = await _body(request, Fault)
        try:
            check_fault(provider, fault)
        except ValueError as error:
            raise _problem(422, "The document is not valid", str(error)) from None
        self._board.set(provider, request.match_info.get("recipient"), fault)
        self._inbox.announce(Signal.BOARD)
        return web.json_response(fault.model_dump(exclude_defaults=True))

    async def clear_faults(self, request: web.Request) -> web.Response:
        if "provider" in request.match_info:
            self._board.clear(_provider(request, FAULTABLE), request.match_info.get("recipient"))
        else:
            self._board.clear()
        self._inbox.announce(Signal.BOARD)
        return web.Response(status=204)


def _provider(request: web.Request, known: tuple[str, ...]) -> str:
    provider = request.match_info["provider"]
    if provider not in known:
        raise _problem(404, "No such provider", f"Use one of: {', '.join(known)}.")
    return provider


async def _body(request: web.Request, model: type[Document]) -> Document:
    try:
        return model.model_validate_json(await request.read())
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
        raise _problem(422, "The document is not valid", wrong) from None


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", "100")
    if not text.isdecimal() or not 1 <= int(text) <= _MAX_LISTED:
        raise _problem(422, "Bad limit", f"limit takes 1 to {_MAX_LISTED}.")
    return int(text)


def _filter(request: web.Request) -> Filter:
    query = request.query
    since = query.get("since")
    return Filter(
        channel=query.get("channel"),
        provider=query.get("provider"),
        to=query.get("to"),
        key=query.get("key"),
        since=_instant(since) if since is not None else None,
    )


def _instant(text: str) -> float:
    """Seconds since the epoch, from that or from RFC 3339."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise _problem(422, "Bad since", "since takes seconds since the epoch or an RFC 3339 time.") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()


def _problem(status: int, title: str, detail: str) -> web.HTTPException:
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    kind = {404: web.HTTPNotFound, 422: web.HTTPUnprocessableEntity}[status]
    return kind(text=json.dumps(body), content_type="application/problem+json")
