"""A template that failed: where and why, never with a value of the data."""

import difflib
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from types import TracebackType
from typing import Any

from jinja2 import TemplateNotFound, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.utils import missing

from notifications.rendering.environment import NoTextError
from notifications.rendering.filters import FilterError
from notifications.rendering.sources import LAYOUTS, Renderable
from notifications.rendering.undefined import MissingNameError, dotted_path


class RenderError(Exception):
    """`path` is inside the catalogue, such as payment.succeeded/email.de.html; `line` is counted from 1."""

    def __init__(self, path: str, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")
        self.path = path
        self.line = line
        self.message = message


def at_source(template: Renderable, name: str, line: int, message: str) -> RenderError:
    """An error on a line of the part or layout called `name`."""
    if name.startswith(LAYOUTS):
        return RenderError(name, line, message)
    path, _, first = template.origins.get(name, f"{template.name}/{name}:1").rpartition(":")
    return RenderError(path, int(first) + line - 1, message)


def describe(
    error: Exception, template: Renderable, name: str, sources: Mapping[str, str], variables: Any
) -> RenderError:
    """What went wrong while the part `name` was compiled or rendered."""
    if isinstance(error, TemplateSyntaxError):
        return at_source(template, error.name or name, error.lineno, error.message or "not a valid template")
    where, line = _innermost(error.__traceback__, sources) or (name, 1)
    if isinstance(error, MissingNameError):
        return at_source(template, where, line, _missing(error, sources[where], variables))
    return at_source(template, where, line, _reason(error))


def _innermost(traceback: TracebackType | None, sources: Mapping[str, str]) -> tuple[str, int] | None:
    found = None
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if name in sources:
            found = name, traceback.tb_lineno
        traceback = traceback.tb_next
    return found


def _missing(error: MissingNameError, source: str, variables: Mapping[str, Any]) -> str:
    if not isinstance(error.name, str) or not re.search(rf"(?<!\w){re.escape(error.name)}(?!\w)", source):
        return "a key taken from the data is undefined"  # its name is a value
    owner = variables if error.owner is missing else error.owner
    path = None if owner is variables else dotted_path(owner, variables)
    prefix = f"{path}." if path else ""
    if owner is variables and error.name == "links":
        return "'links' is undefined: only promotional messages can be unsubscribed from"
    known = owner if isinstance(owner, Mapping) else ()
    near = difflib.get_close_matches(error.name, [key for key in known if isinstance(key, str)], n=1, cutoff=0.6)
    hint = f"; did you mean '{prefix}{near[0]}'?" if near else ""
    return f"'{prefix}{error.name}' is undefined{hint}"


def _reason(error: Exception) -> str:
    if isinstance(error, TemplateNotFound):
        folder = PurePosixPath(LAYOUTS)
        return f"there is no layout {error.name!r}: layouts are files in {folder}/, named like 'layouts/email.html'"
    if isinstance(error, FilterError | NoTextError | SecurityError):
        return str(error)
    return f"the values do not fit this expression ({type(error).__name__})"
