"""Strict undefined that knows what was looked for, and where."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from jinja2 import StrictUndefined
from jinja2.exceptions import UndefinedError
from jinja2.utils import missing

_MAX_VISITS = 2_000


class MissingNameError(UndefinedError):
    """`name` was not found in `owner` (`missing`: in the context itself)."""

    def __init__(self, message: str | None, *, owner: Any, name: str | None) -> None:
        super().__init__(message)
        self.owner = owner
        self.name = name


class NamedUndefined(StrictUndefined):
    """Fails on any use, with a MissingNameError."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = missing,
        name: str | None = None,
        exc: type[Exception] = UndefinedError,
    ) -> None:
        raised: Any = partial(MissingNameError, owner=obj, name=name) if exc is UndefinedError else exc
        super().__init__(hint, obj, name, raised)


def dotted_path(owner: Any, context: Mapping[str, Any]) -> str | None:
    """The path of `owner` in the context (`data.card`), found by identity; None if it is not there."""
    for visits, (path, value) in enumerate(_walk(context)):
        if value is owner:
            return path
        if visits > _MAX_VISITS:
            break
    return None


def _walk(context: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    queue = [(str(key), value) for key, value in context.items()]
    while queue:
        path, value = queue.pop(0)
        yield path, value
        if isinstance(value, Mapping):
            queue += [(f"{path}.{key}", item) for key, item in value.items()]
        elif isinstance(value, list | tuple):
            queue += [(f"{path}[]", item) for item in value]
