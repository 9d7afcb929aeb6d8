"""JSON as RFC 8259 has it, and only what a database and a template can hold."""

import json
import sys
from typing import Any, NoReturn

from notifications.events.rejection import RejectedError, RejectReason, show_path

MAX_DEPTH = 32  # containers in one another; a notification needs three or four
_MAX_DIGITS = 308  # what fits a double, the widest number that every JSON reader agrees on

_Path = tuple["_Path", object] | None  # a chain back to the root, so that a step costs nothing


def loads(raw: bytes) -> Any:
    """Parse a JSON text.

    Raises:
        RejectedError: not UTF-8, not JSON, NaN or a number beyond a double, NUL or a lone surrogate, too deep.

    """
    try:
        text = raw.decode("utf-8-sig")  # a byte order mark may be ignored (RFC 8259, 8.1)
    except UnicodeDecodeError as error:
        raise RejectedError(
            RejectReason.NOT_JSON, f"the value is not UTF-8 (byte {error.start}): encode JSON as UTF-8"
        ) from None
    try:
        document = json.loads(text, parse_float=_float, parse_int=_int, parse_constant=_constant)
    except json.JSONDecodeError as error:
        detail = f"the value is not JSON ({error.msg} at line {error.lineno} column {error.colno})"
        raise RejectedError(RejectReason.NOT_JSON, detail) from None
    except RecursionError:
        raise _too_deep() from None
    check_document(document)
    return document


def check_document(document: Any) -> None:
    """See that all text can be stored and that nothing is nested too deeply.

    Raises:
        RejectedError: names the place.

    """
    stack: list[tuple[Any, _Path, int]] = [(document, None, 0)]
    while stack:
        value, path, depth = stack.pop()
        if isinstance(value, str):
            _check_text(value, path)
        elif isinstance(value, dict):
            _check_depth(depth)
            for key, item in value.items():
                _check_text(key, (path, key))
                stack.append((item, (path, key), depth + 1))
        elif isinstance(value, list):
            _check_depth(depth)
            stack.extend((item, (path, index), depth + 1) for index, item in enumerate(value))


def text_problem(text: str) -> str | None:
    """What makes a text unusable, or None."""
    if "\0" in text:
        return "a NUL character"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "half of a surrogate pair"
    return None


def _check_text(text: str, path: _Path) -> None:
    problem = text_problem(text)
    if problem is not None:
        raise RejectedError(RejectReason.UNUSABLE_TEXT, f"{_shown(path)} holds {problem}: remove it")


def _check_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise _too_deep()


def _too_deep() -> RejectedError:
    return RejectedError(
        RejectReason.TOO_DEEP, f"objects and lists are nested more than {MAX_DEPTH} deep: send flatter data"
    )


def _shown(path: _Path) -> str:
    parts: list[object] = []
    while path is not None:
        path, part = path
        parts.append(part)
    return show_path(reversed(parts))


def _float(text: str) -> float:
    value = float(text)
    if abs(value) > sys.float_info.max:
        raise _too_big()
    return value


def _int(text: str) -> int:
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise _too_big()
    return int(text)


def _too_big() -> RejectedError:
    return RejectedError(
        RejectReason.UNUSABLE_NUMBER, "a number does not fit a 64-bit float: send large amounts as strings"
    )


def _constant(name: str) -> NoReturn:
    raise RejectedError(RejectReason.UNUSABLE_NUMBER, f"{name} is not JSON: leave the field out or send null")
