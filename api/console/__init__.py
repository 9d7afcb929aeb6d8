"""The console: pages for people, rendered here; they load nothing from elsewhere and hold no script and no style."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.console import words

_FOLDER = Path(__file__).parent
STATIC = {
    "console.css": "text/css; charset=utf-8",
    "console.js": "text/javascript; charset=utf-8",
    "htmx-2.0.11.min.js": "text/javascript; charset=utf-8",
    "htmx-ext-sse-2.2.4.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "LICENSE.txt": "text/plain; charset=utf-8",
}
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
}


@cache
def static_file(name: str) -> bytes:
    return (_FOLDER / "static" / name).read_bytes()


@cache
def static_url(name: str) -> str:
    """With what the file is, so that a browser may keep it for ever."""
    return f"/console/{name}?{hashlib.sha256(static_file(name)).hexdigest()[:12]}"


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"static_url": static_url, "words": words}
    made.filters |= {"number": "{:,}".format, "clock": words.clock}
    return made


def render(template: str, /, **values: Any) -> str:
    return environment().get_template(f"{template}.html.j2").render(**values)


def answer(
    template: str, /, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any
) -> HTMLResponse:
    return HTMLResponse(render(template, **values), status_code=status, headers=HEADERS | (headers or {}))
