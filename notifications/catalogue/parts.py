"""Bring a definition's part files and layouts into it, and note where each source was written."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, TemplateSyntaxError, nodes

from notifications.catalogue.definition import EmailTemplate, Templates
from notifications.catalogue.problems import CatalogueError, Problem, did_you_mean
from notifications.catalogue.reading import read_text
from notifications.catalogue.yaml import Document
from notifications.rendering.sources import LAYOUTS, part_name, parts
from notifications.statuses import Channel

_LAYOUT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_FILE_PARTS = ("html", "text")


@dataclass(slots=True)
class Parts:
    """Templates with their files inlined, the layouts they extend, and `file:line` of each source."""

    templates: Templates
    layouts: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)


class _PartReader:
    def __init__(self, root: Path, folder: Path, document: Document) -> None:
        self._root = root
        self._folder = folder
        self._document = document
        self.problems: list[Problem] = []
        self.layouts: dict[str, str] = {}

    def inline(self, templates: Templates) -> Templates:
        email = {locale: self._email(locale, template) for locale, template in templates.email.items()}
        return templates.model_copy(update={"email": email})

    def _email(self, locale: str, template: EmailTemplate) -> EmailTemplate:
        sources = {
            part: self._file(locale, part, file_name)
            for part in _FILE_PARTS
            if (file_name := getattr(template, part)) is not None
        }
        for source in sources.values():
            self._read_layouts(source)
        return template.model_copy(update=sources)

    def _file(self, locale: str, part: str, name: str) -> str:
        at = ("templates", "email", locale, part)
        beside = sorted(entry.name for entry in self._folder.iterdir() if entry.is_file())
        if name not in beside:
            hint = did_you_mean(name, beside)
            self.problems.append(self._document.problem(at, f"there is no file {name!r} in this folder{hint}"))
            return ""
        try:
            return read_text(self._folder / name)
        except CatalogueError as error:
            self.problems += error.problems
            return ""

    def _read_layouts(self, source: str) -> None:
        for name in extended(source):
            if name in self.layouts or not name.startswith(LAYOUTS):
                continue
            if not _LAYOUT_NAME.fullmatch(name.removeprefix(LAYOUTS)) or not (self._root / name).is_file():
                continue  # rendering the example says on which line it is missing
            try:
                self.layouts[name] = read_text(self._root / name)
            except CatalogueError as error:
                self.problems += error.problems
            else:
                self._read_layouts(self.layouts[name])


def extended(source: str) -> Iterator[str]:
    """The names of the layouts that a source says it extends."""
    try:
        tree = Environment(autoescape=True).parse(source)
    except TemplateSyntaxError:
        return  # compiling it in its own environment gives the error with its line
    for node in tree.find_all(nodes.Extends):
        if isinstance(node.template, nodes.Const) and isinstance(node.template.value, str):
            yield node.template.value


def read_parts(root: Path, folder: Path, document: Document, templates: Templates) -> Parts:
    """Inline the files that `html` and `text` of the e-mail templates name.

    Raises:
        CatalogueError: a file is missing or not text.

    """
    reader = _PartReader(root, folder, document)
    inlined = reader.inline(templates)
    if reader.problems:
        raise CatalogueError(reader.problems)
    return Parts(inlined, reader.layouts, dict(_origins(root, folder, document, templates)))


def _origins(root: Path, folder: Path, document: Document, templates: Templates) -> Iterator[tuple[str, str]]:
    inside = folder.relative_to(root).as_posix()
    for channel in Channel:
        for locale, template in templates.of(channel).items():
            for part, source in parts(template):
                if channel is Channel.EMAIL and part[0] in _FILE_PARTS:
                    origin = f"{inside}/{source}:1"
                else:
                    line = document.mark(("templates", channel.value, locale, *part)).line
                    origin = f"{inside}/{Path(document.path).name}:{line}"
                yield part_name(channel, locale, part), origin
