"""Catalogue folders to break on purpose."""

from pathlib import Path

from notifications.catalogue.new import write_definition
from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.publish import load_folder
from notifications.statuses import Channel, NotificationType

CATALOGUE = Path(__file__).parents[3] / "catalogue"
ALL_CHANNELS = tuple(Channel)


def make_folder(
    root: Path,
    event: str = "order.refunded",
    notification_type: NotificationType = NotificationType.TRANSACTIONAL,
    channels: tuple[Channel, ...] = ALL_CHANNELS,
) -> Path:
    """A valid folder of one definition; returns the definition's own folder."""
    write_definition(root, event, notification_type, channels)
    return root / event


def edit(file: Path, old: str, new: str) -> None:
    before = file.read_text(encoding="utf-8")
    assert old in before, f"{file} does not hold {old!r}"
    file.write_text(before.replace(old, new), encoding="utf-8")


def problems(root: Path) -> list[str]:
    """What is wrong with the folder, each `path:line: message` with the path relative to the folder."""
    try:
        load_folder(root)
    except CatalogueError as error:
        return [str(problem).replace(f"{root.as_posix()}/", "") for problem in error.problems]
    return []
