import json
import stat
import subprocess
from pathlib import Path

import pytest

from devstack.processes import StackError
from devstack.state import (
    Endpoints,
    forget,
    hold_lock,
    is_running,
    kept_secret,
    make_data_folder,
    read_endpoints,
    read_variables,
    write_endpoints,
    write_variables,
)

ENDPOINTS = Endpoints(
    postgres="postgresql://p",
    kafka="127.0.0.1:1",
    temporal="127.0.0.1:2",
    temporal_ui="http://127.0.0.1:3",
    api="http://127.0.0.1:4",
    sandbox="http://127.0.0.1:5",
    smtp="127.0.0.1:6",
    metrics={"bridge": "http://127.0.0.1:7/metrics"},
)
AWKWARD = "a b'c\"d$HOME;e"


def test_one_stack_at_a_time_and_the_second_is_told(tmp_path: Path) -> None:
    with hold_lock(tmp_path):
        assert is_running(tmp_path)
        with pytest.raises(StackError, match=r"runs already \(process \d+\)"), hold_lock(tmp_path):
            pass
    assert not is_running(tmp_path)


def test_nothing_runs_where_nothing_ever_ran(tmp_path: Path) -> None:
    assert not is_running(tmp_path / "nowhere")


def test_endpoints_have_the_agreed_keys(tmp_path: Path) -> None:
    with hold_lock(tmp_path):
        write_endpoints(tmp_path, ENDPOINTS)
        keys = set(json.loads((tmp_path / "endpoints.json").read_text()))
        assert keys == {"postgres", "kafka", "temporal", "temporal_ui", "api", "sandbox", "smtp", "metrics"}
        assert read_endpoints(tmp_path) == ENDPOINTS


def test_the_variables_can_be_sourced_and_read_back(tmp_path: Path) -> None:
    with hold_lock(tmp_path):
        write_variables(tmp_path, {"TIDINGS_A": AWKWARD, "TIDINGS_B": "2"})
        assert read_variables(tmp_path) == {"TIDINGS_A": AWKWARD, "TIDINGS_B": "2"}
        command = ["/bin/sh", "-c", '. "$0"; printf %s "$TIDINGS_A"', str(tmp_path / "env")]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == AWKWARD


def test_only_the_owner_reads_the_variables(tmp_path: Path) -> None:
    write_variables(tmp_path, {"TIDINGS_API_TOKEN": "secret"})
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600


def test_what_a_dead_stack_left_behind_is_not_used(tmp_path: Path) -> None:
    write_endpoints(tmp_path, ENDPOINTS)
    write_variables(tmp_path, {"TIDINGS_A": "old"})
    assert read_variables(tmp_path) == {}
    assert read_endpoints(tmp_path) is None
    with hold_lock(tmp_path):
        assert read_variables(tmp_path) == {}


def test_the_data_of_a_killed_stack_goes_at_the_next_start(tmp_path: Path) -> None:
    folder = make_data_folder(tmp_path)
    (folder / "base").touch()
    with hold_lock(tmp_path):
        assert not folder.exists()


def test_forgetting_twice_is_fine(tmp_path: Path) -> None:
    forget(tmp_path)
    forget(tmp_path)


def test_a_secret_stays_and_differs_from_the_others(tmp_path: Path) -> None:
    assert kept_secret(tmp_path, "a") == kept_secret(tmp_path, "a") != kept_secret(tmp_path, "b")
