"""The documents of the repository, as text and as examples."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = tuple(sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced example; `language` is empty for a terminal."""

    document: Path
    language: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.document.relative_to(ROOT)}: {self.text.splitlines()[0][:60]}"


def fences(*languages: str) -> Iterator[Fence]:
    """The examples in any of these languages."""
    for document in DOCUMENTS:
        for language, text in _FENCE.findall(document.read_text(encoding="utf-8")):
            if language in languages:
                yield Fence(document, language, text)


def everything() -> str:
    return "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS)
