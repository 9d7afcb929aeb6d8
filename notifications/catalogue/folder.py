"""Read a catalogue folder into definitions, with every mistake at its file and line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from notifications.catalogue.definition import (
    DELIVERY_DEFAULTS,
    Category,
    ConsentDefault,
    Definition,
    Delivery,
    StandaloneTemplate,
)
from notifications.catalogue.files import CategoryFile, DefinitionFile, TemplateFile, problems_of
from notifications.catalogue.parts import read_parts
from notifications.catalogue.problems import CatalogueError, Problem, did_you_mean
from notifications.catalogue.reading import read_json_object, read_mapping
from notifications.catalogue.yaml import Document, KeyPath

LAYOUTS_FOLDER = "layouts"
TEMPLATES_FOLDER = "templates"
_Shape = TypeVar("_Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A definition or stand-alone template as it was read; `path` is its folder, as the user named it."""

    content: Definition | StandaloneTemplate
    path: Path
    document: Document
    example: Document | None

    def problem_in_example(self, at: KeyPath, message: str) -> Problem:
        if self.example is not None:
            return self.example.problem(at, message)
        return Problem((self.path / "example.json").as_posix(), 1, message)


@dataclass(slots=True)
class Folder:
    """What a catalogue folder holds, and what is wrong with it."""

    root: Path
    categories: dict[str, Category] = field(default_factory=dict)
    undecided: set[str] = field(default_factory=set)  # categories that do not state their default
    category_lines: dict[str, int] = field(default_factory=dict)
    loaded: list[Loaded] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    @property
    def definitions(self) -> Iterator[tuple[Loaded, Definition]]:
        for item in self.loaded:
            if isinstance(item.content, Definition):
                yield item, item.content


def read_folder(root: Path) -> Folder:
    """Read everything that can be read; the problems are in the result.

    Raises:
        CatalogueError: there is no such folder, or no catalogue in it.

    """
    if not root.is_dir():
        raise CatalogueError([Problem(root.as_posix(), 1, "there is no such folder")])
    folder = Folder(root)
    entries = [entry for entry in _subfolders(root) if entry.name not in {LAYOUTS_FOLDER, TEMPLATES_FOLDER}]
    templates = _subfolders(root / TEMPLATES_FOLDER)
    if not entries and not templates:
        raise CatalogueError([Problem(root.as_posix(), 1, "holds no definition: `tidings new EVENT` writes one")])
    categories_read = _collect(folder, partial(read_categories, root / "categories.yaml", folder))
    for entry in entries:
        _collect(folder, partial(_read_definition, entry, folder, categories_read=categories_read))
    for entry in templates:
        _collect(folder, partial(_read_template, entry, folder))
    return folder


def _subfolders(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and entry.name[0] not in "._")


def _collect(folder: Folder, read: Callable[[], None]) -> bool:
    try:
        read()
    except CatalogueError as error:
        folder.problems += error.problems
        return False
    return True


def _validated(model: type[_Shape], document: Document) -> _Shape:
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        raise CatalogueError(problems_of(error, document, model)) from None


def read_categories(path: Path, folder: Folder) -> None:
    """Fill the folder's categories from categories.yaml.

    Raises:
        CatalogueError: with every problem of the file.

    """
    document = read_mapping(path)
    problems: list[Problem] = []
    for name, raw in document.value.items():
        try:
            category = CategoryFile.model_validate(raw)
        except ValidationError as error:
            problems += problems_of(error, document, CategoryFile, (name,))
            continue
        if category.default is None:
            folder.undecided.add(name)
        folder.category_lines[name] = document.mark((name,)).line
        default = category.default or ConsentDefault.OPTED_IN
        folder.categories[name] = Category(name=name, title=category.title, default=default, sender=category.sender)
    if problems:
        raise CatalogueError(problems)


def _read_definition(path: Path, folder: Folder, *, categories_read: bool) -> None:
    document = read_mapping(path / "definition.yaml")
    file = _validated(DefinitionFile, document)
    category = folder.categories.get(file.category)
    if category is None:
        hint = did_you_mean(file.category, folder.categories) or "; add it to categories.yaml"
        problem = document.problem(("category",), f"there is no category {file.category!r}{hint}")
        raise CatalogueError([problem] if categories_read else [])
    parts = read_parts(folder.root, path, document, file.templates)
    defaults = DELIVERY_DEFAULTS[file.type]
    delivery = Delivery(**{**defaults.model_dump(), **file.delivery.model_dump(exclude_none=True)})
    content = Definition(
        **file.model_dump(include={"event", "aliases", "type", "recipient", "default_locale", "data"}),
        category=category,
        routing=file.routing,
        delivery=delivery,
        templates=parts.templates,
        layouts=parts.layouts,
        origins=parts.origins,
    )
    folder.loaded.append(Loaded(content, path, document, _example(path, folder)))


def _read_template(path: Path, folder: Folder) -> None:
    document = read_mapping(path / "template.yaml")
    file = _validated(TemplateFile, document)
    parts = read_parts(folder.root, path, document, file.templates)
    content = StandaloneTemplate(
        name=path.name,
        default_locale=file.default_locale,
        data=file.data,
        templates=parts.templates,
        layouts=parts.layouts,
        origins=parts.origins,
    )
    folder.loaded.append(Loaded(content, path, document, _example(path, folder)))


def _example(path: Path, folder: Folder) -> Document | None:
    """None where there is none, or a broken one, which is then among the problems."""
    file = path / "example.json"
    if not file.exists():
        return None
    try:
        return read_json_object(file)
    except CatalogueError as error:
        folder.problems += error.problems
        return None
