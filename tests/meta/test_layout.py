"""The house rules that no linter knows."""

import importlib.metadata
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("notifications", "workflows", "activities", "api", "bridge", "worker", "devstack", "tidings")
MODULE_LINES, TEST_LINES = 300, 400
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc"}
# Folders of people's machines, and hosts of package registries: a clone must work anywhere, behind any mirror.
ELSEWHERE = re.compile(
    r"/home/[a-z]|/Users/[A-Za-z]|/root/|[A-Z]:\\Users|pypi\.org|pythonhosted\.org|registry\.npmjs|crates\.io"
    r"|proxy\.golang|repo1?\.maven|maven\.org|deb\.debian|files\.pythonhosted",
    re.IGNORECASE,
)


def _files() -> list[Path]:
    """What is in the repository, or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("not a git clone")
    return [ROOT / name for name in found.stdout.splitlines() if (ROOT / name).is_file()]


def _sources(suffix: str) -> Iterator[Path]:
    return (file for file in _files() if file.suffix == suffix)


def test_no_module_is_longer_than_a_reader_can_hold():
    too_long = {}
    for file in _sources(".py"):
        name = file.relative_to(ROOT)
        lines = len(file.read_text(encoding="utf-8").splitlines())
        if lines > (TEST_LINES if name.parts[0] == "tests" else MODULE_LINES):
            too_long[str(name)] = lines
    assert not too_long


def test_names_say_what_a_thing_is():
    assert not [
        str(file.relative_to(ROOT))
        for file in _sources(".py")
        if FORBIDDEN_NAMES.intersection({file.stem, *file.relative_to(ROOT).parts})
    ]


def test_no_installed_package_shadows_ours_or_is_shadowed():
    installed = importlib.metadata.packages_distributions()
    assert not {name: installed[name] for name in (*PACKAGES, "tests", "migrations", "benchmarks") if name in installed}


@pytest.mark.parametrize(
    "name",
    [
        *(*PACKAGES, "catalogue", "migrations", "deploy", "benchmarks", "docs/adr", "tests/support", "tests/contracts"),
        *(".ci/run", "docker-compose.yml", "pyproject.toml", "requirements.lock", "README.md", "Makefile", "LICENSE"),
        *("docs/ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", ".env.example", ".pre-commit-config.yaml"),
    ],
)
def test_the_layout_is_complete(name: str):
    assert (ROOT / name).exists()


def test_nothing_names_a_machine_or_a_package_registry():
    found = {}
    for file in _files():
        if file == Path(__file__):
            continue
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        hits = sorted(set(ELSEWHERE.findall(text)))
        if hits:
            found[str(file.relative_to(ROOT))] = hits
    assert not found


def test_every_lock_has_hashes_and_the_image_has_the_tested_versions():
    def pins(name: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        entries = re.split(r"\n(?=\S)", text.strip())
        assert all("--hash=sha256:" in entry for entry in entries), name
        return {entry.split(" ")[0] for entry in entries}

    tested = pins("requirements.lock")
    assert pins("deploy/requirements.lock") < pins("deploy/sandbox.lock") < tested


def test_every_direct_dependency_is_in_the_lock():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    groups = [pyproject["project"]["dependencies"], *pyproject["dependency-groups"].values()]
    requirements = [requirement for group in groups for requirement in group if isinstance(requirement, str)]
    declared = [re.split(r"[\[>=; ]", requirement, maxsplit=1)[0] for requirement in requirements]
    assert len(declared) > 30
    assert not [name for name in declared if f"\n{name}==" not in f"\n{locked}"]
