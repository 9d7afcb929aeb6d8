"""The Jinja2 that templates run in."""

from collections.abc import Mapping
from typing import Any

from jinja2 import BaseLoader, Environment, TemplateNotFound, Undefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from typing_extensions import override

from notifications.rendering import filters, language
from notifications.rendering.sources import is_html
from notifications.rendering.undefined import NamedUndefined


class NoTextError(ValueError):
    """An expression gives something that cannot be printed; the message holds no value."""


class Sources(BaseLoader):
    """The parts and layouts of one definition version; a part's `filename` is its own name, for tracebacks."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources

    @override
    def get_source(self, environment: Environment, template: str) -> tuple[str, str | None, Any]:
        del environment
        if template not in self._sources:
            raise TemplateNotFound(template)
        return self._sources[template], template, None


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Sandboxed and strict; escapes in parts and layouts that end in .html, and only there."""

    intercepted_binops = frozenset({"+", "*", "%"})

    def __init__(self, loader: BaseLoader) -> None:
        super().__init__(
            loader=loader,
            autoescape=lambda name: name is not None and is_html(name),
            undefined=NamedUndefined,
            finalize=_printable,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=False,
            cache_size=-1,  # one environment is one version: its layouts are compiled once
            auto_reload=False,
        )
        self.globals = {"range": language.bounded_range}
        self.filters = {**language.FILTERS_ALLOWED, **filters.FILTERS, **language.FILTERS_INTERNAL}

    @override
    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        allowed = self.filters.keys() - language.FILTERS_INTERNAL.keys()
        return super()._generate(language.restrict(source, name or "", allowed), name, filename, defer_init)

    @override
    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of the data comes before a method: `data.items` is the order's items."""
        # Nearly all are plain dicts; asking the abstract class costs as much as the rest of the look-up.
        if (type(obj) is dict or isinstance(obj, Mapping)) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    @override
    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        del context
        for side in (left, right):
            if isinstance(side, Undefined):
                str(side)  # raises, naming what is undefined
        return language.combine(operator, left, right)


def _printable(value: Any) -> Any:
    if type(value) is str:
        return value
    if value is None:
        raise NoTextError("an expression gives nothing (null): add `| default('...', true)` or an {% if %}")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Undefined):
        return value
    if callable(value):
        raise NoTextError("an expression gives a method: call it, or check the name")
    raise NoTextError("an expression gives a list or an object, not text: pick a field, or loop over it")
