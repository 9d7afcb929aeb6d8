"""The examples of the OpenAPI document, whole: FastAPI leaves out every null of it, in examples as well."""

from collections.abc import Iterator, Mapping
from typing import Any


def fill_in_nulls(schemas: Mapping[str, Any]) -> None:
    """Say null in each example for every member that its schema requires and that may be null; safe to repeat."""
    for schema in schemas.values():
        for example in schema.get("examples", ()):
            _fill(schemas, schema, example)


def _fill(schemas: Mapping[str, Any], schema: Mapping[str, Any], example: Any) -> None:
    for option in _options(schemas, schema):
        if isinstance(example, list) and "items" in option:
            for item in example:
                _fill(schemas, option["items"], item)
        if isinstance(example, dict):
            for name, inner in option.get("properties", {}).items():
                if name in example:
                    _fill(schemas, inner, example[name])
                elif name in option.get("required", ()) and _may_be_null(schemas, inner):
                    example[name] = None


def _options(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    while "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    yield schema
    for option in schema.get("anyOf", ()):
        yield from _options(schemas, option)


def _may_be_null(schemas: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    return any(option.get("type") == "null" for option in _options(schemas, schema))
