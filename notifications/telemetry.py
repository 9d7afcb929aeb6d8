"""Logs, the same for every process."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

MASK = "***"

_SENSITIVE_WORDS = frozenset(
    {
        *("address", "addresses", "email", "emails", "phone", "phones", "to", "token", "tokens"),
        *("body", "bodies", "content", "html", "payload", "subject", "text"),
        *("authorization", "cookie", "password", "secret"),
    }
)
_SENSITIVE_KEYS = frozenset({"recipient_name", "display_name", "api_key", "hash_key", "private_key"})
_HARMLESS_ENDINGS = ("_ref", "_id", "_count", "_seconds", "_bytes")
_EMAIL = re.compile(r"[^\s@<>\"'(),:;=\[\]]+@[^\s@<>\"'(),:;=\[\]]+\.[^\s@<>\"'(),:;=\[\]]+")
_PHONE = re.compile(r"(?<![\w.])\+\d{8,15}(?!\d)")
# Migrations are no news, and the others log whole URLs.
_NOISY_LOGGERS = ("alembic.runtime.migration", "httpx", "httpcore", "aiohttp.access", "uvicorn.access")


def _is_sensitive(key: str) -> bool:
    name = key.lower()
    if name.endswith(_HARMLESS_ENDINGS):
        return False
    return name in _SENSITIVE_KEYS or not _SENSITIVE_WORDS.isdisjoint(name.split("_"))


def _scrub(value: Any) -> Any:
    if isinstance(value, str):
        if "@" in value:
            value = _EMAIL.sub(MASK, value)
        return _PHONE.sub(MASK, value) if "+" in value else value
    if isinstance(value, Mapping):
        return {key: MASK if _is_sensitive(str(key)) else _scrub(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_scrub(item) for item in value]
    return value


def mask_personal_data(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The last wall: our code logs no address, token or body, but a library's message or a traceback might."""
    return {key: MASK if _is_sensitive(key) else _scrub(value) for key, value in event.items() if key[0] != "_"} | {
        key: value for key, value in event.items() if key[0] == "_"
    }


def _named(process: str) -> Processor:
    def add_process(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> EventDict:
        event.setdefault("process", process)
        return event

    return add_process


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, to be found and replaced when logging is configured again."""


def configure_logging(process: str, log_format: str = "auto", *, stream: TextIO | None = None) -> None:
    """Route structlog and the standard library's logging to one stream (stderr), a JSON object a line.

    `process` names the process in every line; `log_format` is auto (console on a terminal), console or json.
    """
    stream = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(process),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        structlog.processors.UnicodeDecoder(),
        mask_personal_data,
    ]
    renderer: Processor = structlog.processors.JSONRenderer(default=str, ensure_ascii=False)
    if console:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Handler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    _install(handler)


def _install(handler: logging.Handler) -> None:
    root = logging.getLogger()
    for old in [existing for existing in root.handlers if isinstance(existing, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
