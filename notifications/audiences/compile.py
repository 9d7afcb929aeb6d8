"""Conditions as SQL over `recipients r`: every name of an attribute and every value is a bound parameter.

Each part is true or false and never null, so that `NOT` is the opposite. `eq` and `in` of attributes are containment,
which the index on `attributes` answers; both ends of a comparison are looked at only where they are of one kind.
"""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import orjson

from notifications.audiences.conditions import (
    TIME_FIELDS,
    AllOf,
    AnyOf,
    Condition,
    Leaf,
    Not,
    Now,
    Op,
    Scalar,
    Value,
)

_INDEXED_VALUES = 20  # of an `in` over attributes; more are compared in turn with each recipient's
_SIGNS = {Op.LT: "<", Op.LTE: "<=", Op.GT: ">", Op.GTE: ">="}
# Of the shapes that conditions.parse_instant reads (a regular expression costs five times as much), and then whether
# it is a time at all, since other text cannot be cast. PostgreSQL's hour 24 and second 60 are times, too.
_TIME = """(CASE WHEN ({text} LIKE '____-__-__T__:__%'
        AND ({text} LIKE '%Z' OR {text} LIKE '%+__:__' OR {text} LIKE '%-__:__') OR {text} LIKE '____-__-__')
    AND pg_input_is_valid({text}, 'timestamptz')
    THEN CAST({text} AS timestamptz) {sign} CAST(:{instant} AS timestamptz) ELSE false END)"""


@dataclass(frozen=True, slots=True)
class Where:
    """SQL text with the parameters that it names."""

    sql: str
    parameters: dict[str, Any] = field(default_factory=dict)


def compile_condition(condition: Condition, now: datetime) -> Where:
    """`now` is what relative times count from: one moment for all that is asked of an audience."""
    compiler = _Compiler(now)
    return Where(compiler.condition(condition), compiler.parameters)


class _Compiler:
    """Numbers the parameters of one condition."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self.parameters: dict[str, Any] = {}

    def condition(self, condition: Condition) -> str:
        match condition:
            case AllOf(of):
                return f"({' AND '.join(map(self.condition, of))})"
            case AnyOf(of):
                return f"({' OR '.join(map(self.condition, of))})"
            case Not(of):
                return f"NOT {self.condition(of)}"
            case Leaf(path, op, value):
                return self._attribute(path[1:], op, value) if len(path) > 1 else self._column(path[0], op, value)

    def _bind(self, value: Any) -> str:
        name = f"c{len(self.parameters)}"
        self.parameters[name] = value
        return name

    def _column(self, name: str, op: Op, value: Value) -> str:
        """`name` is one of our own columns."""
        column = f"r.{name}"
        if op is Op.EXISTS:
            return f"({column} IS {'NOT ' if value else ''}NULL)"
        kind = "timestamptz" if name in TIME_FIELDS else "text"
        bound = f"CAST(:{self._bind(self._bindable(value))} AS {kind}{'[]' if op is Op.IN else ''})"
        match op:
            case Op.EQ:
                holds = f"{column} = {bound}"
            case Op.NE:
                holds = f"{column} <> {bound}"
            case Op.IN:
                holds = f"{column} = ANY ({bound})"
            case Op.PREFIX:
                holds = f"starts_with({column}, {bound})"
            case _:
                holds = f"{column} {_SIGNS[op]} {bound}"
        return f"({column} IS NOT NULL AND {holds})"

    def _attribute(self, path: tuple[str, ...], op: Op, value: Value) -> str:
        match op:
            case Op.EQ:
                return self._contains(path, value)
            case Op.IN:
                assert isinstance(value, tuple)  # noqa: S101 - made so by parse_condition
                return self._is_one_of(path, value)
            case Op.NE:
                return f"({self._exists(path)} AND NOT {self._contains(path, value)})"
            case Op.EXISTS:
                return self._exists(path) if value else f"NOT {self._exists(path)}"
            case Op.PREFIX:
                found, bound = self._at(path), self._bind(value)
                holds = f"starts_with({self._text_at(path)}, CAST(:{bound} AS text))"
                return f"(CASE WHEN jsonb_typeof({found}) = 'string' THEN {holds} ELSE false END)"
        return self._comparison(path, op, value)

    def _at(self, path: tuple[str, ...]) -> str:
        """The value, as jsonb or null; by name only, so that a number is no position in a list."""
        return "(r.attributes" + "".join(f" -> CAST(:{self._bind(name)} AS text)" for name in path) + ")"

    def _text_at(self, path: tuple[str, ...]) -> str:
        """The value as text."""
        *parents, name = path
        return f"({self._at(tuple(parents))} ->> CAST(:{self._bind(name)} AS text))"

    def _exists(self, path: tuple[str, ...]) -> str:
        return f"(coalesce(jsonb_typeof({self._at(path)}), 'null') <> 'null')"

    def _contains(self, path: tuple[str, ...], value: Value) -> str:
        text = _json(value)
        for name in reversed(path):
            text = f"{{{orjson.dumps(name).decode()}:{text}}}"
        return f"(r.attributes @> CAST(:{self._bind(text)} AS jsonb))"

    def _is_one_of(self, path: tuple[str, ...], values: tuple[Scalar, ...]) -> str:
        if len(values) <= _INDEXED_VALUES:
            return f"({' OR '.join(self._contains(path, each) for each in values)})"
        bound = self._bind([_json(each) for each in values])
        return f"coalesce({self._at(path)} = ANY (CAST(:{bound} AS jsonb[])), false)"

    def _comparison(self, path: tuple[str, ...], op: Op, value: Value) -> str:
        if isinstance(value, datetime | Now):
            bound = self._bind(self._bindable(value))
            return _TIME.format(text=self._text_at(path), sign=_SIGNS[op], instant=bound)
        found, bound = self._at(path), self._bind(_json(value))
        holds = f"{found} {_SIGNS[op]} CAST(:{bound} AS jsonb)"
        return f"(CASE WHEN jsonb_typeof({found}) = 'number' THEN {holds} ELSE false END)"

    def _bindable(self, value: Value) -> Any:
        if isinstance(value, Now):
            return self._now + value.offset
        return list(value) if isinstance(value, tuple) else value


def _json(value: Scalar | Value) -> str:
    return str(value) if isinstance(value, Decimal) else orjson.dumps(value).decode()
