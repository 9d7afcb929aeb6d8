"""JSON Schema 2020-12 of an event's `data`: one way to compile it, for publishing and for intake."""

from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def data_validator(schema: Mapping[str, Any]) -> Draft202012Validator:
    """A validator that also checks formats, and never fetches a reference."""
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER, registry=Registry())


def schema_problems(schema: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Where the schema itself is wrong, and what about it."""
    if schema.get("$schema", _DIALECT).rstrip("#") != _DIALECT:
        yield ("$schema",), f"only {_DIALECT} is supported"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        yield tuple(error.absolute_path), f"not valid JSON Schema: {error.message}"
        return
    for path, reference in _references(schema, ()):
        if not reference.startswith("#"):
            yield path, f"$ref {reference!r} leaves the file: only #/... is followed"
        elif not _resolves(schema, reference):
            yield path, f"$ref {reference!r} points at nothing"


def describe(error: ValidationError) -> str:
    """The failing place in `data` and what is wrong with it, such as `data.amount: '5' does not match ...`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    return f"data{path}: {error.message}"


def _references(schema: Any, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in {"$ref", "$dynamicRef"} and isinstance(value, str):
                yield (*at, key), value
            elif key not in {"const", "enum", "default", "examples"}:
                yield from _references(value, (*at, key))
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _references(value, (*at, index))


def _resolves(schema: Mapping[str, Any], reference: str) -> bool:
    found: Any = schema
    for part in reference.removeprefix("#").removeprefix("/").split("/") if reference != "#" else ():
        name = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(found, Mapping) or name not in found:
            return False
        found = found[name]
    return True
