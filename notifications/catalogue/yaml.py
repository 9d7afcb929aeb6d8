"""YAML 1.2 core scalars on PyYAML, with the line of every value.

PyYAML reads YAML 1.1, in which `on`, `no` and `off` are booleans, 1:30 is ninety and 2026-01-01 a date. Here they are
text, as in the core schema of https://yaml.org/spec/1.2.2/#103-core-schema. Duplicate keys are errors.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import Node, ScalarNode, SequenceNode

from notifications.catalogue.problems import CatalogueError, Problem

KeyPath = tuple[str | int, ...]

_TAG = "tag:yaml.org,2002:"
_MAX_NODES = 20_000  # aliases of aliases grow without bound
_MAX_DEPTH = 60


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a value stands: its first line (of the text itself for a block scalar), and a scalar's source text."""

    line: int
    source: str | None = None
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: JSON values, and a mark for each path from the root."""

    path: str
    value: Any
    marks: Mapping[KeyPath, Mark] = field(default_factory=dict)

    def mark(self, path: KeyPath) -> Mark:
        """The mark of the value, or of the nearest value around it."""
        while path and path not in self.marks:
            path = path[:-1]
        return self.marks.get(path, Mark(1))

    def problem(self, path: KeyPath, message: str) -> Problem:
        return Problem(self.path, self.mark(path).line, message)


class _CoreLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own contract


_RESOLVERS = (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
)
for _name, _pattern, _first in _RESOLVERS:
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _first)


def _integer(text: str) -> int:
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


_SCALARS: Mapping[str, Callable[[str], Any]] = {
    _TAG + "null": lambda _: None,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "int": _integer,
    _TAG + "float": float,
    _TAG + "str": str,
}
_KINDS = {"null": "nothing (null)", "bool": "a boolean", "int": "a number", "float": "a number"}


def load_yaml(text: str, path: str) -> Document:
    """Parse one document.

    Raises:
        CatalogueError: syntax, duplicate keys, keys that are not text, tags outside the core schema.

    """
    try:
        node = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise CatalogueError([Problem(path, mark.line + 1 if mark else 1, _syntax(error))]) from None
    except yaml.YAMLError:
        raise CatalogueError([Problem(path, 1, "holds a character that YAML does not allow")]) from None
    except RecursionError:
        raise CatalogueError([Problem(path, 1, "is nested too deeply")]) from None
    reader = _Reader(path)
    value = reader.value(node, ()) if node is not None else None
    if reader.problems:
        raise CatalogueError(reader.problems)
    return Document(path, value, reader.marks)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    return "not valid YAML: " + " ".join(part for part in (error.context, error.problem) if part)


class _Reader:
    """Turns nodes into JSON values, collecting marks and problems on the way."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._nodes = 0
        self.marks: dict[KeyPath, Mark] = {}
        self.problems: list[Problem] = []

    def value(self, node: Node, at: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES or len(at) > _MAX_DEPTH:
            raise CatalogueError([Problem(self._path, node.start_mark.line + 1, "is nested too deeply or too large")])
        if isinstance(node, ScalarNode):
            return self._scalar(node, at)
        self.marks.setdefault(at, Mark(node.start_mark.line + 1))
        if isinstance(node, SequenceNode):
            return [self.value(item, (*at, index)) for index, item in enumerate(node.value)]
        return self._mapping(node.value, at)

    def _mapping(self, pairs: list[tuple[Node, Node]], at: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in pairs:
            key = self._key(key_node)
            if key is None:
                continue
            if key in result:
                self._report(key_node, f"{key!r} stands twice in the same mapping")
                continue
            path = (*at, key)
            if not isinstance(value_node, ScalarNode):  # an error in a mapping is shown at its key
                self.marks[path] = Mark(key_node.start_mark.line + 1)
            result[key] = self.value(value_node, path)
        return result

    def _key(self, node: Node) -> str | None:
        if not isinstance(node, ScalarNode):
            self._report(node, "a key must be text")
        elif node.tag != _TAG + "str":
            kind = _KINDS.get(node.tag.removeprefix(_TAG), "not text")
            self._report(node, f'the key {node.value} is read as {kind}: put it in quotes, "{node.value}"')
        else:
            return str(node.value)
        return None

    def _scalar(self, node: ScalarNode, at: KeyPath) -> Any:
        block = node.style in {"|", ">"}
        self.marks[at] = Mark(node.start_mark.line + (2 if block else 1), node.value, node.style is None)
        convert = _SCALARS.get(node.tag)
        if convert is None:
            self._report(node, f"the tag {node.tag} is not known here")
            return None
        try:
            value = convert(node.value)
        except ValueError:
            value = math.nan
        if isinstance(value, float) and not math.isfinite(value):
            self._report(node, f"{node.value} is no number that JSON can hold")
            return None
        return value

    def _report(self, node: Node, message: str) -> None:
        self.problems.append(Problem(self._path, node.start_mark.line + 1, message))


def text_expected(mark: Mark, value: Any) -> str | None:
    """What to write where text is needed and a bare 1.10, true or null stands; None for anything else."""
    if not mark.plain or isinstance(value, str | list | dict):
        return None
    kind = "nothing (null)" if value is None else "a boolean" if isinstance(value, bool) else "a number"
    return f'must be text, but {mark.source or "an empty value"} is read as {kind}: write "{mark.source}" in quotes'
