import json
from pathlib import Path

from click.testing import Result
from typer.testing import CliRunner

from notifications.catalogue.definition import Definition
from notifications.catalogue.publish import load_folder
from notifications.statuses import Channel, NotificationType
from tidings.__main__ import command_line


def _new(*arguments: str) -> Result:
    words = ["new", *arguments]
    return CliRunner().invoke(command_line(words), words)


def test_a_definition_to_begin_with(tmp_path: Path) -> None:
    result = _new("order.refunded", "--folder", str(tmp_path))
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"wrote {tmp_path}/order.refunded/definition.yaml" in result.stdout
    assert "python -m tidings send --example order.refunded" in result.stdout
    content = load_folder(tmp_path).loaded[0].content
    assert isinstance(content, Definition)
    assert (content.type, content.routing.channels) == (NotificationType.TRANSACTIONAL, (Channel.EMAIL,))


def test_type_and_channels_are_chosen(tmp_path: Path) -> None:
    options = ("--type", "promotional", "--channel", "push", "--channel", "sms", "--json")
    result = _new("order.again", *options, "--folder", str(tmp_path))
    files = json.loads(result.stdout)["files"]
    assert f"{tmp_path}/order.again/example.json" in files
    content = load_folder(tmp_path).loaded[0].content
    assert isinstance(content, Definition)
    assert (content.type, content.routing.channels) == (NotificationType.PROMOTIONAL, (Channel.PUSH, Channel.SMS))


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    _new("order.refunded", "--folder", str(tmp_path))
    result = _new("order.refunded", "--folder", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"{tmp_path}/order.refunded:1: exists already: edit it, or choose another name\n"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = _new("order.refunded", "--folder", str(tmp_path / "file" / "catalogue"))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr
