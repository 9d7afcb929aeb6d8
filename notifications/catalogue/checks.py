"""What must hold in a catalogue folder beyond the shape of its files."""

from collections.abc import Iterator

from notifications.catalogue.folder import Folder
from notifications.catalogue.problems import Problem


def check_folder(folder: Folder) -> Iterator[Problem]:
    """Every check, over everything that could be read."""
    yield from _aliases(folder)


def _aliases(folder: Folder) -> Iterator[Problem]:
    """An event type leads to one definition."""
    owners: dict[str, str] = {}
    for item, definition in folder.definitions:
        for index, name in enumerate([definition.event, *definition.aliases]):
            at = ("aliases", index - 1) if index else ("event",)
            if name.startswith("tidings."):
                yield item.document.problem(at, f"{name!r}: types that begin with `tidings.` are commands")
            if name in owners:
                yield item.document.problem(at, f"{name!r} is already taken by {owners[name]}")
            owners.setdefault(name, item.document.path)
