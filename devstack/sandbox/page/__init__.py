"""The inbox page: phones and mailboxes as a person would see them.

The server renders every piece of HTML; the script only asks for what is new and puts it where it belongs.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from devstack.sandbox.faults import FAULTABLE, PROVIDERS, FaultBoard
from devstack.sandbox.inbox import Accepted, Filter, Inbox

_HERE = Path(__file__).parent
_SHOWN = 150  # newest entries on the page; more would make a browser slow, the API has them all
_STATIC = {"page.css": "text/css", "page.js": "text/javascript"}
_TITLES = {
    "smtp": ("E-mail", "SMTP"),
    "sendgrid": ("E-mail", "SendGrid"),
    "fcm": ("Push", "FCM v1"),
    "twilio": ("SMS", "Twilio"),
    "meta": ("WhatsApp", "Meta Cloud"),
    "profiles": ("Profiles", "HTTP"),
}
# Mails run no script and load nothing from elsewhere: their frame inherits this.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src data:; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'"
)
_PRESETS: dict[str, dict[str, Any]] = {
    "Slow: 3 s": {"latency_ms": 3000},
    "Fails twice, then works": {"fail_times": 2},
    "Unavailable": {"error": {}},
    "Unavailable for one in three": {"error": {"rate": 0.33}},
    "Throttled: 429, Retry-After 5": {"throttle": {"retry_after": 5}},
    "Hangs before accepting": {"hang": "before"},
    "Hangs after accepting": {"hang": "after"},
    "Reset before accepting": {"reset": "before"},
    "Reset after accepting": {"reset": "after"},
    "Rubbish after accepting": {"rubbish": "after"},
    "Answers byte by byte": {"trickle_ms": 50},
}


class Page:
    def __init__(self, inbox: Inbox, board: FaultBoard) -> None:
        self._inbox = inbox
        self._board = board
        self._templates = Environment(
            loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters["clock"] = _clock

    def add_routes(self, app: web.Application) -> None:
        app.router.add_get("/", self.show)
        app.router.add_get("/page/news", self.news)
        for name in _STATIC:
            app.router.add_get(f"/page/{name}", self.static)

    async def show(self, _request: web.Request) -> web.Response:
        entries = self._inbox.find(Filter(), _SHOWN)
        boxes = _boxes(self._inbox.document(entry) for entry in entries)
        html = self._templates.get_template("index.html").render(
            phones=[box for box in boxes if box["kind"] == "phone"],
            mailboxes=[box for box in boxes if box["kind"] == "mailbox"],
            last=entries[0].id if entries else "",
            totals=self._inbox.totals(),
            presets=_PRESETS,
            faultable=FAULTABLE,
            titles=_TITLES,
            **self._board_context(),
        )
        # A message may hold lone surrogates, which no encoding can write.
        body = html.encode("utf-8", "replace")
        return web.Response(body=body, content_type="text/html", charset="utf-8", headers=_headers())

    async def news(self, request: web.Request) -> web.Response:
        """What came after the entry `after`; `reload` where the page should be fetched anew."""
        entries = self._inbox.find(Filter(), _SHOWN)
        known = [entry.id for entry in entries]
        after = request.query.get("after", "")
        if after and after not in known:
            return web.json_response({"reload": True})
        fresh = entries[: known.index(after)] if after else entries
        pieces = self._templates.get_template("pieces.html").module
        board = self._templates.get_template("board.html").render(titles=_TITLES, **self._board_context())
        return web.json_response(
            {
                "items": [self._piece(pieces, entry) for entry in reversed(fresh)],
                "totals": str(pieces.totals(self._inbox.totals())),  # type: ignore[attr-defined]  # a macro
                "board": board,
            },
            headers=_headers(),
        )

    async def static(self, request: web.Request) -> web.Response:
        name = request.path.rpartition("/")[2]
        return web.Response(
            body=(_HERE / name).read_bytes(), content_type=_STATIC[name], charset="utf-8", headers=_headers()
        )

    def _piece(self, pieces: Any, entry: Accepted) -> dict[str, Any]:
        box = _boxes([self._inbox.document(entry)])[0]
        return {
            "id": entry.id,
            "box": box["id"],
            "kind": box["kind"],
            "box_html": str(pieces.box({**box, "entries": []})),
            "item_html": str(pieces.item(box["entries"][0])),
            "key": entry.key,
            "to": entry.to,
            "times": self._inbox.times_accepted(entry),
        }

    def _board_context(self) -> dict[str, Any]:
        return {
            "providers": [{"name": name, "enabled": self._board.is_enabled(name)} for name in PROVIDERS],
            "faults": self._board.document(),
        }


def _boxes(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One box per mailbox, number or device, the one with the newest message first."""
    boxes: dict[str, dict[str, Any]] = {}
    for document in documents:
        channel, to = document["channel"], document["to"]
        kind = "mailbox" if channel == "email" else "phone"
        label = {"email": "Mailbox", "push": "Device"}.get(channel, "Phone")
        box_id = f"{label}:{to.casefold()}"
        box = boxes.setdefault(box_id, {"id": box_id, "kind": kind, "label": label, "to": to, "entries": []})
        box["entries"].append(document)
    return list(boxes.values())


def _clock(received_at: str) -> str:
    return datetime.fromisoformat(received_at).astimezone().strftime("%H:%M:%S")


def _headers() -> dict[str, str]:
    return {
        "Content-Security-Policy": _POLICY,
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
