import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.notifications.catalogue.folders import CATALOGUE, edit, make_folder
from tests.support.postgres import fresh_database
from tidings.__main__ import command_line


@pytest.fixture
async def own_database(postgres_server: str) -> AsyncIterator[str]:
    async with fresh_database(postgres_server) as url:
        yield url


def _apply(*arguments: str, database: str | None = None) -> Result:
    words = ["apply", *arguments]
    return CliRunner().invoke(command_line(words), words, env={"TIDINGS_DATABASE_URL": database})


def test_it_prints_what_changed_and_then_that_nothing_has(tmp_path: Path, own_database: str) -> None:
    folder = make_folder(tmp_path)
    first = _apply(str(tmp_path), database=own_database)
    assert (first.exit_code, first.stderr) == (0, "")
    assert "new  definition order.refunded (version 1)" in first.stdout
    assert "new  category order" in first.stdout

    again = _apply(str(tmp_path), database=own_database)
    assert (again.exit_code, again.stdout) == (0, "nothing has changed\n")

    edit(folder / "email.en.txt", "this is about", "this tells you about")
    changed = _apply(str(tmp_path), database=own_database)
    assert "changed  definition order.refunded (version 2)" in changed.stdout
    assert "revision 2, 1 unchanged" in changed.stdout


def test_json_for_scripts(tmp_path: Path, own_database: str) -> None:
    make_folder(tmp_path)
    report = json.loads(_apply(str(tmp_path), "--json", database=own_database).stdout)
    assert (report["ok"], report["changed"], report["revision"]) == (True, True, 1)
    change = {"kind": "definition", "name": "order.refunded", "action": "new", "version": 1}
    assert change in report["changes"]


@pytest.mark.parametrize("check", [["--check"], []], ids=["check", "apply"])
def test_errors_go_to_stderr_with_status_1(tmp_path: Path, own_database: str, check: list[str]) -> None:
    edit(make_folder(tmp_path) / "email.en.txt", "{{ data.reference }}", "{{ data.refrence }}")
    result = _apply(str(tmp_path), *check, database=own_database)
    assert (result.exit_code, result.stdout) == (1, "")
    expected = f"{tmp_path}/order.refunded/email.en.txt:4: 'data.refrence' is undefined; did you mean 'data.reference'?"
    assert result.stderr == f"{expected}\n1 problem; nothing was published\n"

    problem = json.loads(_apply(str(tmp_path), *check, "--json", database=own_database).stdout)["problems"][0]
    assert (problem["path"], problem["line"]) == (f"{tmp_path}/order.refunded/email.en.txt", 4)


def test_check_needs_no_database() -> None:
    result = _apply(str(CATALOGUE), "--check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "nothing is wrong with its 7 definitions and templates" in result.stdout
    assert json.loads(_apply(str(CATALOGUE), "--check", "--json").stdout) == {"ok": True, "checked": 7}


@pytest.mark.parametrize(
    ("database", "message"),
    [
        (None, "TIDINGS_DATABASE_URL is not set"),
        ("mysql://x", "TIDINGS_DATABASE_URL must begin with postgresql://"),
        ("postgresql://nobody:s3cret@127.0.0.1:1/none", "the catalogue was not published: "),
    ],
)
def test_a_database_that_cannot_be_used_is_told_in_a_line(database: str | None, message: str) -> None:
    result = _apply(str(CATALOGUE), database=database)
    assert (result.exit_code, result.stdout) == (1, "")
    assert message in result.stderr
    assert "s3cret" not in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_database_without_our_tables_names_the_command_that_mends_it(postgres_server: str) -> None:
    result = _apply(str(CATALOGUE), database=postgres_server)
    assert result.exit_code == 1
    assert "python -m tidings migrate" in result.stderr
