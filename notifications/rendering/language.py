"""The part of Jinja2 that templates may use, so that one bad template cannot eat a worker's time or memory.

The sandbox guards Python's internals but lets `'a' * 10**9`, nested loops and recursive macros through. So statements
and filters are a closed list, loops draw on a budget, and every way to build a longer text is bounded.
"""

import difflib
import operator
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, cast

from jinja2 import TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS, do_join, do_replace
from jinja2.nodes import EvalContext
from jinja2.utils import pass_eval_context
from jinja2.visitor import NodeTransformer

from notifications.rendering.sources import is_html

MAX_TEXT = 256 * 1024  # characters of one part; Gmail clips an e-mail at 102 KiB
MAX_RANGE = 1_000
MAX_ITERATIONS = 20_000  # of all loops of one part together

_NODES: tuple[type[nodes.Node], ...] = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.If, nodes.For, nodes.Block, nodes.Extends, nodes.Assign),
    *(nodes.Name, nodes.Const, nodes.Tuple, nodes.List, nodes.Dict, nodes.Pair, nodes.Keyword, nodes.CondExpr),
    *(nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Call, nodes.Compare, nodes.Operand),
    *(nodes.And, nodes.Or, nodes.Not, nodes.Concat, nodes.Neg, nodes.Pos),
    *(nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod),
)
_FUNCTIONS = frozenset({"range", "super"})
_METHODS = frozenset(
    {
        "items",
        "keys",
        "values",
        "get",
        "upper",
        "lower",
        "title",
        "capitalize",
        "strip",
        "split",
        "startswith",
        "endswith",
    }
)
_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "int", "last"),
    *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select"),
    *("selectattr", "sort", "string", "striptags", "sum", "title", "trim", "truncate", "unique", "upper", "urlencode"),
)
_BINARY = {"+": operator.add, "*": operator.mul, "%": operator.mod}

_iterations: ContextVar[int] = ContextVar("iterations", default=MAX_ITERATIONS)


def reset_budget() -> None:
    """Give the next part its full number of loop iterations."""
    _iterations.set(MAX_ITERATIONS)


def bounded_text(pieces: Iterable[str]) -> str:
    """The pieces as one text.

    Raises:
        SecurityError: it is longer than a part may be.

    """
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_TEXT:
            _require_short(size)
        kept.append(piece)
    return "".join(kept)


def bounded_range(*arguments: int) -> range:
    numbers = range(*arguments)
    if len(numbers) > MAX_RANGE:
        raise SecurityError(f"range() is limited to {MAX_RANGE} numbers")
    return numbers


def combine(sign: str, left: Any, right: Any) -> Any:
    """`+`, `*` and `%` on numbers; `+` also joins texts and lists.

    Raises:
        SecurityError: the result would be too long, or a text is multiplied or formatted.

    """
    if not (isinstance(left, int | float) and isinstance(right, int | float)):
        if sign != "+":
            raise SecurityError(f"{sign!r} is for numbers only")
        _require_short(len(left) + len(right))
    return _BINARY[sign](left, right)


def _require_short(size: int) -> None:
    if size > MAX_TEXT:
        raise SecurityError(f"a text grows beyond {MAX_TEXT} characters")


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    iterator = iter(values)  # at once: an undefined name fails on the line of its loop
    return _draw(iterator)


def _draw(iterator: Iterator[Any]) -> Iterator[Any]:
    for value in iterator:
        left = _iterations.get() - 1
        if left < 0:
            raise SecurityError(f"the loops run more than {MAX_ITERATIONS} times")
        _iterations.set(left)
        yield value


def _short(text: Any) -> Any:
    _require_short(len(text))
    return text


@pass_eval_context
def _replace(context: EvalContext, text: Any, old: str, new: str, count: int | None = None) -> Any:
    text = str(text) if not isinstance(text, str) else text
    _require_short(len(text) + (text.count(old) if old else len(text) + 1) * len(new))
    return do_replace(context, text, old, new, count)


@pass_eval_context
def _join(context: EvalContext, values: Iterable[Any], d: str = "", attribute: str | int | None = None) -> Any:
    values = list(values)
    _require_short(len(values) * len(d))
    return _short(do_join(context, values, d, attribute))


_COUNTED, _SHORT = "_counted", "_short"
FILTERS_ALLOWED = {name: FILTERS[name] for name in _FILTERS} | {"replace": _replace, "join": _join}
FILTERS_INTERNAL = {_COUNTED: _counted, _SHORT: _short}


class _Bounds(NodeTransformer):
    """Puts every loop on the budget and every `~` under the limit."""

    def visit_For(self, node: nodes.For) -> nodes.For:  # noqa: N802 - the visitor's naming
        self.generic_visit(node)
        node.iter = _filtered(node.iter, _COUNTED)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:  # noqa: N802 - the visitor's naming
        self.generic_visit(node)
        return _filtered(node, _SHORT)


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", node), name, [], [], None, None, lineno=node.lineno)


def restrict(tree: nodes.Template, name: str, allowed_filters: Iterable[str]) -> nodes.Template:
    """Refuse what the language has not, bound the rest.

    Raises:
        TemplateSyntaxError: with the line, and what is not allowed.

    """
    allowed = frozenset(allowed_filters)
    for node in tree.iter_child_nodes():
        _check(node, name, allowed)
    bounded: nodes.Template = _Bounds().visit(tree)
    return bounded


def _check(node: nodes.Node, name: str, filters: frozenset[str]) -> None:
    refusal = _refusal(node, name, filters)
    if refusal:
        raise TemplateSyntaxError(refusal, node.lineno, name)
    for child in node.iter_child_nodes():
        _check(child, name, filters)


def _refusal(node: nodes.Node, name: str, filters: frozenset[str]) -> str | None:
    if not isinstance(node, _NODES):
        return f"templates have no {type(node).__name__.lower()}"
    if (isinstance(node, nodes.For) and node.recursive) or (isinstance(node, nodes.Name) and node.name == "self"):
        return "templates cannot call themselves: no recursive loops, no `self`"
    if isinstance(node, nodes.Filter) and node.name not in filters:
        near = difflib.get_close_matches(node.name, filters, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(filters))}"
        return f"there is no filter {node.name!r}; {hint}"
    if isinstance(node, nodes.Call):
        return _call_refusal(node)
    if isinstance(node, nodes.Extends):
        return _extends_refusal(node, name)
    return None


def _call_refusal(node: nodes.Call) -> str | None:
    called = node.node
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        return "templates have no * or ** arguments"
    if isinstance(called, nodes.Name) and called.name in _FUNCTIONS:
        return None
    if isinstance(called, nodes.Getattr) and called.attr in _METHODS:
        return None
    return "only range(), super() and the plain methods of texts and objects can be called"


def _extends_refusal(node: nodes.Extends, name: str) -> str | None:
    if not isinstance(node.template, nodes.Const):
        return "write the layout's name in quotes"
    if is_html(str(node.template.value)) != is_html(name):
        return "an HTML part extends an .html layout, a text part another one: only .html is escaped"
    return None
