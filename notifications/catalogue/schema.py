"""The JSON Schema 2020-12 of a definition's `data`: whether it is one, and what it leaves optional."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from notifications.catalogue.yaml import KeyPath
from notifications.events.schema import FORMATS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VALUES = frozenset({"const", "enum", "default", "examples"})  # their content is no schema


def schema_problems(schema: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Where the schema itself is wrong, and what about it."""
    if schema.get("$schema", _DIALECT) != _DIALECT:
        yield ("$schema",), f"only {_DIALECT} is supported"
        return
    try:
        Draft202012Validator.check_schema(schema, format_checker=FORMATS)
    except SchemaError as error:
        yield tuple(error.absolute_path), f"not valid JSON Schema: {error.message}"
        return
    for path, reference in _references(schema, ()):
        if not reference.startswith("#"):
            yield path, f"$ref {reference!r} leaves the file: write the schema out, or refer to '#/$defs/...'"
        elif not _resolves(schema, reference):
            yield path, f"$ref {reference!r} points at nothing"


def data_validator(schema: Mapping[str, Any]) -> Any:  # a jsonschema Validator; its stubs are partial
    """Validates as intake does."""
    return Draft202012Validator(schema, format_checker=FORMATS)


def without_optional(data: Any, schema: Mapping[str, Any]) -> Any:
    """A copy of the valid `data` from which no further key can be taken without breaking the schema."""
    bare = copy.deepcopy(data)
    _prune(bare, bare, data_validator(schema))
    return bare


def _prune(node: Any, whole: Any, validator: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _prune(item, whole, validator)
    if not isinstance(node, dict):
        return
    for key in list(node):
        value = node.pop(key)
        if not validator.is_valid(whole):
            node[key] = value
            _prune(value, whole, validator)


def _references(schema: Any, at: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in {"$ref", "$dynamicRef"} and isinstance(value, str):
                yield (*at, key), value
            elif key not in _VALUES:
                yield from _references(value, (*at, key))
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from _references(value, (*at, index))


def _resolves(schema: Mapping[str, Any], reference: str) -> bool:
    found: Any = schema
    for part in [] if reference == "#" else reference.removeprefix("#/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            return False
    return True
