"""`data` against the definition's JSON Schema, with messages that name the place and the rule, never the value."""

import difflib
import re
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import structlog
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError

from notifications.catalogue.definition import Definition
from notifications.events.rejection import RejectedError, RejectReason, show_name, show_path

_MAX_ERRORS = 5
_MAX_RULE = 120  # characters of a schema's rule that a message repeats
_KEPT = 1000  # compiled schemas
_URI_CHARACTERS = "%/:?#[]@!$&'()*+,;=~"

log = structlog.get_logger()


def _format_checker() -> FormatChecker:
    """Those of the draft, but for two: the packaged `iri` takes 10 s for 10 kB, `regex` recurses without a bound."""
    checker = FormatChecker(formats=())
    checker.checkers = dict(Draft202012Validator.FORMAT_CHECKER.checkers)
    is_uri = checker.checkers["uri"][0]
    is_reference = checker.checkers["uri-reference"][0]
    checker.checks("iri")(lambda value: not isinstance(value, str) or bool(is_uri(_as_uri(value))))
    checker.checks("iri-reference")(lambda value: not isinstance(value, str) or bool(is_reference(_as_uri(value))))
    checker.checks("regex")(_is_regex)
    return checker


def _as_uri(value: str) -> str:
    return quote(value, safe=_URI_CHARACTERS)


def _is_regex(value: object) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return not isinstance(value, str) or bool(re.compile(value))
    except (re.error, RecursionError, OverflowError):
        return False


FORMATS = _format_checker()


class SchemaCache:
    """Compiled validators, one per definition version; an unpublished definition (version 0) is compiled each time."""

    def __init__(self) -> None:
        self._validators: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def check(self, definition: Definition, data: Any) -> None:
        """See that `data` keeps the definition's schema.

        Raises:
            RejectedError: names up to five places and what each must be.

        """
        validator = self._validator(definition)
        try:
            errors = sorted(_first(validator.iter_errors(data), 50), key=lambda error: [str(p) for p in error.path])
        except Exception as error:  # noqa: BLE001 - whatever a schema of the catalogue makes of the data
            # A rule that cannot be applied, such as a $ref to nowhere: the record is kept and can be replayed.
            failure = type(error).__name__  # its text may repeat the data
            log.warning("events.schema_failed", definition=definition.name, version=definition.version, error=failure)
            detail = f"the schema of {definition.name} could not be applied ({failure}): tell its owner"
            raise RejectedError(RejectReason.SCHEMA, detail) from None
        if errors:
            shown = list(dict.fromkeys(message(error) for error in errors))
            more = f"; and {len(shown) - _MAX_ERRORS} more" if len(shown) > _MAX_ERRORS else ""
            raise RejectedError(RejectReason.SCHEMA, "; ".join(shown[:_MAX_ERRORS]) + more)

    def _validator(self, definition: Definition) -> Any:  # a jsonschema Validator; its stubs are partial
        key = (definition.name, definition.version)
        found = self._validators.get(key)
        if found is not None:
            self._validators.move_to_end(key)
            return found
        validator = Draft202012Validator(definition.data, format_checker=FORMATS)
        if definition.version:
            self._validators[key] = validator
            if len(self._validators) > _KEPT:
                self._validators.popitem(last=False)
        return validator


def _first(errors: Iterable[ValidationError], limit: int) -> Iterator[ValidationError]:
    for count, error in enumerate(errors, 1):
        yield error
        if count == limit:
            return


def message(error: ValidationError) -> str:
    """What must hold, and where; built from the schema, since the library's own messages repeat the value."""
    place = show_path(["data", *error.absolute_path])
    return f"{place} {_MESSAGES.get(str(error.validator), _generic)(error)}"


def _rule(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _MAX_RULE else text[: _MAX_RULE - 1] + "…"


def _one_of(values: Iterable[object]) -> str:
    return _rule(", ".join(str(value) for value in values))


def _type(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    return f"must be {_one_of(wanted) if isinstance(wanted, list) else wanted}, not {_json_type(error.instance)}"


def _json_type(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, (int, float)):
        return "number" if isinstance(value, float) else "integer"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _required(error: ValidationError) -> str:
    required: Any = error.validator_value
    instance: Any = error.instance
    missing = [name for name in required if name not in instance]
    return f"lacks {_one_of(missing)}"


def _additional(error: ValidationError) -> str:
    schema: Any = error.schema if isinstance(error.schema, dict) else {}
    instance: Any = error.instance
    known = list(schema.get("properties", {}))
    patterns = list(schema.get("patternProperties", {}))
    extra = [name for name in instance if name not in known and not any(re.search(rule, name) for rule in patterns)]
    shown = []
    for name in extra[:_MAX_ERRORS]:
        near = difflib.get_close_matches(name[:100], known, n=1)
        shown.append(show_name(name) + (f" (did you mean {near[0]}?)" if near else ""))
    return f"has fields that the definition does not know: {', '.join(shown)}"


def _enum(error: ValidationError) -> str:
    allowed: Any = error.validator_value
    return f"must be one of {_one_of(allowed)}"


def _generic(error: ValidationError) -> str:
    return f"breaks the rule {error.validator}: {_rule(error.validator_value)}"


_MESSAGES: Mapping[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "required": _required,
    "additionalProperties": _additional,
    "unevaluatedProperties": _additional,
    "enum": _enum,
    "const": lambda error: f"must be {_rule(error.validator_value)}",
    "pattern": lambda error: f"must match {_rule(error.validator_value)}",
    "format": lambda error: f"must be a {_rule(error.validator_value)}",
    "minLength": lambda error: f"must have at least {error.validator_value} characters",
    "maxLength": lambda error: f"must have at most {error.validator_value} characters",
    "minItems": lambda error: f"must have at least {error.validator_value} items",
    "maxItems": lambda error: f"must have at most {error.validator_value} items",
    "minimum": lambda error: f"must be at least {error.validator_value}",
    "maximum": lambda error: f"must be at most {error.validator_value}",
    "exclusiveMinimum": lambda error: f"must be more than {error.validator_value}",
    "exclusiveMaximum": lambda error: f"must be less than {error.validator_value}",
}
