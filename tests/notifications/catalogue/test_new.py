from pathlib import Path

import pytest

from notifications.catalogue.new import write_definition
from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.publish import load_folder
from notifications.statuses import Channel, NotificationType
from tests.notifications.catalogue.folders import ALL_CHANNELS, CATALOGUE, problems


@pytest.mark.parametrize("notification_type", list(NotificationType))
@pytest.mark.parametrize("event", ["order.refunded", "1.10", "true", "x", "a-b_c.D"])
def test_what_is_written_is_valid_in_an_empty_folder(
    tmp_path: Path, event: str, notification_type: NotificationType
) -> None:
    written = write_definition(tmp_path, event, notification_type, ALL_CHANNELS)
    assert problems(tmp_path) == []
    assert all(file.is_file() for file in written)
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize("channel", ALL_CHANNELS)
def test_each_channel_alone(tmp_path: Path, channel: Channel) -> None:
    write_definition(tmp_path, "order.refunded", NotificationType.ALERT, [channel, channel])
    assert problems(tmp_path) == []


def test_a_category_that_fits_is_used_and_one_that_does_not_is_not(tmp_path: Path) -> None:
    (tmp_path / "categories.yaml").write_text("orders: {title: Orders, default: required}", encoding="utf-8")
    write_definition(tmp_path, "order.refunded", NotificationType.TRANSACTIONAL, [Channel.SMS])
    write_definition(tmp_path, "order.again", NotificationType.PROMOTIONAL, [Channel.SMS])
    write_definition(tmp_path, "order.more", NotificationType.PROMOTIONAL, [Channel.SMS])
    found = {definition.event: definition.category for _, definition in load_folder(tmp_path).definitions}
    assert found["order.refunded"].name == "orders"
    assert found["order.again"] == found["order.more"]
    assert found["order.again"].default == "opted_out"


def test_the_layout_of_the_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "layouts").mkdir()
    layout = (CATALOGUE / "layouts" / "email.html").read_text(encoding="utf-8")
    (tmp_path / "layouts" / "email.html").write_text(layout, encoding="utf-8")
    write_definition(tmp_path, "order.refunded", NotificationType.TRANSACTIONAL, [Channel.EMAIL])
    assert load_folder(tmp_path).loaded[0].content.layouts == {"layouts/email.html": layout}


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("a/b", "cannot name a folder"),
        ("../x", "cannot name a folder"),
        (".hidden", "cannot name a folder"),
        ("", "cannot name a folder"),
        ("templates", "cannot name a folder"),
        ("tidings.x", "types that begin with 'tidings.' are commands"),
        ("order.refunded", "exists already"),
    ],
)
def test_a_name_that_cannot_be_used(tmp_path: Path, event: str, message: str) -> None:
    write_definition(tmp_path, "order.refunded", NotificationType.TRANSACTIONAL, [Channel.SMS])
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CatalogueError, match=message):
        write_definition(tmp_path, event, NotificationType.TRANSACTIONAL, [Channel.SMS])
    assert sorted(tmp_path.rglob("*")) == before


def test_what_a_run_that_died_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".order.refunded.new").mkdir()
    (tmp_path / ".order.refunded.new" / "email.fr.txt").touch()
    write_definition(tmp_path, "order.refunded", NotificationType.TRANSACTIONAL, [Channel.EMAIL])
    assert problems(tmp_path) == []
    assert not (tmp_path / "order.refunded" / "email.fr.txt").exists()
