"""How `make` comes by its environment: which Python, from which mirror."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
REPORTER = "import sys; print('made with', sys.executable.rsplit('/', 1)[1], *sys.argv[1:])"


def _program(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ci_{name}", ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


run_uv = _program("run_uv")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone whose installer only says who runs it, and an empty folder for the Pythons of the test."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "bin").mkdir()
    shutil.copy(ROOT / ".ci" / "environment.sh", tmp_path / ".ci")
    (tmp_path / ".ci" / "install.py").write_text(REPORTER, encoding="utf-8")
    (tmp_path / "requirements.lock").write_text("one==1\n", encoding="utf-8")
    for tool in ("sh", "dirname", "cat", "cksum"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / "bin" / tool).symlink_to(found)
    return tmp_path


def _python(clone: Path, name: str, *, answers: str) -> None:
    """A program on PATH: `real`, `missing` (a version manager's shim), `old`, or `no ensurepip`."""
    script = {
        "real": f'exec {sys.executable} "$@"',
        "missing": f"echo 'pyenv: {name}: command not found' >&2; exit 127",
        "old": 'case "$2" in *version_info*) exit 1;; esac; exit 0',
        "no ensurepip": f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"',
    }[answers]
    if answers == "real":
        script = f'case "$1" in -c) {script};; esac; echo "made with {name}"'
    file = clone / "bin" / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


def _make(clone: Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", ".ci/environment.sh"]
    environ = {"PATH": str(clone / "bin")}
    return subprocess.run(command, cwd=clone, env=environ, capture_output=True, text=True, check=False)


def test_the_newest_python_that_really_runs_is_taken(clone: Path):
    _python(clone, "python3.14", answers="missing")
    _python(clone, "python3.12", answers="real")
    _python(clone, "python3.11", answers="real")
    _python(clone, "python3", answers="old")
    made = _make(clone)
    assert (made.returncode, made.stdout) == (0, "made with python3.12\n")
    assert made.stderr == ""


def test_one_that_is_only_called_python3_will_do(clone: Path):
    _python(clone, "python3", answers="real")
    assert _make(clone).stdout == "made with python3\n"


def test_one_that_cannot_make_environments_is_passed_over(clone: Path):
    _python(clone, "python3.13", answers="no ensurepip")
    _python(clone, "python3.11", answers="real")
    assert _make(clone).stdout == "made with python3.11\n"


def test_without_a_new_enough_python_one_line_says_what_to_install(clone: Path):
    _python(clone, "python3", answers="old")
    made = _make(clone)
    assert made.returncode == 1
    assert made.stderr.count("\n") == 1
    assert "Python 3.11 or newer: install it" in made.stderr


def test_without_ensurepip_one_line_says_what_to_install(clone: Path):
    _python(clone, "python3.11", answers="no ensurepip")
    made = _make(clone)
    assert made.returncode == 1
    assert made.stderr.count("\n") == 1
    assert "-venv" in made.stderr


def test_an_environment_that_is_up_to_date_is_left_alone_and_a_changed_lock_makes_it_again(clone: Path):
    _python(clone, "python3.11", answers="real")
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(sys.executable)
    lock = (clone / "requirements.lock").read_text(encoding="utf-8")
    checksum = subprocess.run(["cksum"], input=lock, capture_output=True, text=True, check=True).stdout
    (clone / ".venv" / ".lock-checksum").write_text(checksum.strip(), encoding="utf-8")
    assert _make(clone).stdout == ""
    (clone / "requirements.lock").write_text("one==2\n", encoding="utf-8")
    assert _make(clone).stdout == "made with python3.11\n"


def test_an_environment_whose_python_is_gone_is_made_again(clone: Path):
    _python(clone, "python3.11", answers="real")
    (clone / ".venv" / "bin").mkdir(parents=True)
    (clone / ".venv" / "bin" / "python").symlink_to(clone / "gone")
    (clone / ".venv" / ".lock-checksum").write_text("whatever", encoding="utf-8")
    assert _make(clone).stdout == "made with python3.11\n"


def test_pips_settings_are_read_as_pip_ranks_them():
    listing = r"""
global.index-url='https://mirror.example/simple'
install.index-url='https://install.example/simple'
global.find-links='\n/wheels/one\n/wheels/two'
global.cert='/etc/ca.pem'
:env:.cert='/etc/other.pem'
freeze.all='true'
"""
    assert run_uv.pip_settings(listing) == {
        "index-url": "https://install.example/simple",
        "find-links": "/wheels/one /wheels/two",
        "cert": "/etc/other.pem",
    }


def test_pips_settings_become_uvs_variables():
    settings = {
        "index-url": "https://mirror.example/simple",
        "extra-index-url": "https://one.example/simple https://two.example/simple",
        "find-links": "/wheels/one /wheels/two",
        "cert": "/etc/ca.pem",
        "trusted-host": "mirror.example",
        "disable-pip-version-check": "1",
    }
    assert run_uv.uv_variables(settings, {}) == {
        "UV_SYSTEM_CERTS": "true",
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_EXTRA_INDEX_URL": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels/one,/wheels/two",
        "UV_INSECURE_HOST": "mirror.example",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


def test_what_is_said_to_uv_itself_wins():
    environ = {"UV_DEFAULT_INDEX": "https://mine.example/simple", "UV_SYSTEM_CERTS": "false"}
    assert run_uv.uv_variables({"index-url": "https://mirror.example/simple"}, environ) == {}


def test_this_pips_settings_can_be_read():
    pip = [sys.executable, "-m", "pip", "config", "list"]
    environ = {**os.environ, "PIP_INDEX_URL": "https://mirror.example/simple"}
    listing = subprocess.run(pip, env=environ, capture_output=True, text=True, check=True).stdout
    assert run_uv.pip_settings(listing)["index-url"] == "https://mirror.example/simple"


def test_make_help_lists_the_commands():
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"make {name} " in helped.stdout for name in ("demo", "dev", "test", "lint", "types", "fmt", "bench"))
