"""Files as text, with an error that names the file and the line."""

import json
from pathlib import Path
from typing import Any

from notifications.catalogue.problems import CatalogueError, Problem
from notifications.catalogue.yaml import Document, load_yaml


def read_text(path: Path) -> str:
    """The file as text, without a byte order mark.

    Raises:
        CatalogueError: it is missing, unreadable or not UTF-8.

    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CatalogueError([Problem(path.as_posix(), 1, "this file is missing")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CatalogueError([Problem(path.as_posix(), line, "is not UTF-8 text")]) from None
    except OSError as error:
        raise CatalogueError([Problem(path.as_posix(), 1, f"cannot be read: {error.strerror}")]) from None


def read_mapping(path: Path) -> Document:
    """A YAML file whose root is a mapping.

    Raises:
        CatalogueError: it cannot be read or parsed.

    """
    document = load_yaml(read_text(path), path.as_posix())
    if not isinstance(document.value, dict):
        raise CatalogueError([document.problem((), "must be a mapping of keys")])
    return document


def read_json_object(path: Path) -> Document:
    """A JSON file whose root is an object.

    Raises:
        CatalogueError: it cannot be read or parsed.

    """
    text = read_text(path)
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise CatalogueError([Problem(path.as_posix(), error.lineno, f"not valid JSON: {error.msg}")]) from None
    except (ValueError, RecursionError) as error:
        raise CatalogueError([Problem(path.as_posix(), 1, f"not valid JSON: {error}")]) from None
    if not isinstance(value, dict):
        raise CatalogueError([Problem(path.as_posix(), 1, "must be a JSON object")])
    try:
        marks = load_yaml(text, path.as_posix()).marks  # JSON is YAML, but for tabs and the like
    except CatalogueError:
        marks = {}
    return Document(path.as_posix(), value, marks)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        message = f"{next(name for name in names if names.count(name) > 1)!r} stands twice in the same object"
        raise ValueError(message)
    return result


def _no_constant(word: str) -> Any:
    message = f"{word} is no number that JSON can hold"
    raise ValueError(message)
