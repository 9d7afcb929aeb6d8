"""The event that `send` produces, from flags, a file or a definition's example."""

import json
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from notifications.catalogue.store import Catalogue
from tidings.surroundings import CommandError

SOURCE = "urn:tidings:command-line"
_STANDARD_INPUT = Path("-")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the command line asked for; `attributes` and `data` replace what the file or example says."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    data: str | None = None
    file: Path | None = None
    example: str | None = None
    topic: str | None = None

    def __post_init__(self) -> None:
        """Raises CommandError for what cannot go together."""
        if self.file is not None and self.example is not None:
            raise CommandError("--file and --example exclude each other")
        if self.file is None and self.example is None and "type" not in self.attributes:
            raise CommandError("name what to send: --example DEFINITION, --file PATH, or --type TYPE with --data JSON")

    @property
    def is_verbatim(self) -> bool:
        """A file without flags is sent byte for byte, so that a wrong one can be tried too."""
        return self.file is not None and not self.attributes and self.data is None


def compose(wish: Wish, catalogue: Catalogue | None) -> bytes:
    """The record's value.

    Raises:
        CommandError: no such example or file, or flags that are no JSON.

    """
    if wish.file is not None:
        raw = _read(wish.file)
        if wish.is_verbatim:
            return raw
        base = _object(raw, f"{wish.file}")
    elif wish.example is not None:
        base = _example(wish.example, catalogue)
    else:
        base = {"specversion": "1.0", "source": SOURCE, "id": str(uuid.uuid4()), "time": _now()}
    event = base | dict(wish.attributes)
    if "recipient" in wish.attributes and base.get("partitionkey") == base.get("recipient"):
        event.pop("partitionkey", None)  # it was the other recipient's
    if wish.data is not None:
        event["data"] = _object(wish.data.encode(), "--data")
    return json.dumps(event, ensure_ascii=False).encode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _example(name: str, catalogue: Catalogue | None) -> dict[str, Any]:
    """A fresh id and time each time: the same id would be a repeat, an old time could fall under an old cancel."""
    found = catalogue.example(name) if catalogue is not None else None
    if catalogue is None or found is None:
        known = ", ".join(sorted(catalogue.definitions)) if catalogue is not None else ""
        hint = f"there is {known}" if known else "publish one with `python -m tidings apply catalogue/`"
        raise CommandError(f"no published definition {name!r} has an example: {hint}")
    return {**found, "id": f"{found.get('id', name)}-{uuid.uuid4().hex[:12]}", "time": _now()}


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == _STANDARD_INPUT else file.read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error


def _object(raw: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{name} is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise CommandError(f"{name} must be a JSON object")
    return document
