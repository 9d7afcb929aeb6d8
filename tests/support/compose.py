"""docker-compose.yml as `docker compose` would read it: anchors merged, variables filled in."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<mark>:-|:\?)(?P<rest>[^}]*))?\}")


class MissingVariableError(Exception):
    """A required variable is not set."""


def interpolate(value: Any, variables: Mapping[str, str]) -> Any:
    """Fill in `${NAME}`, `${NAME:-default}` and `${NAME:?message}`, at any depth."""
    if isinstance(value, Mapping):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    return _VARIABLE.sub(lambda match: _filled(match, variables), value) if isinstance(value, str) else value


def _filled(match: re.Match[str], variables: Mapping[str, str]) -> str:
    given = variables.get(match["name"], "")
    if given or match["mark"] is None:
        return given
    if match["mark"] == ":?":
        raise MissingVariableError(match["name"])
    return match["rest"]


def load(text: str) -> dict[str, Any]:
    """The file with its anchors merged and without its `x-` parts."""
    document = yaml.safe_load(text)
    return {key: value for key, value in document.items() if not key.startswith("x-")}


def required(text: str) -> set[str]:
    """The variables that `.env` has to give."""
    return {match["name"] for match in _VARIABLE.finditer(text) if match["mark"] == ":?"}


def names(text: str) -> set[str]:
    """Every variable that the file reads."""
    return {match["name"] for match in _VARIABLE.finditer(text)}
