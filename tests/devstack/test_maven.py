import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from devstack.maven import alone, mirror_of_central, remembered_class_path
from tests.support.programs import eventually

SETTINGS = """<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0"><mirrors>
<mirror><id>b</id><mirrorOf>{of}</mirrorOf><url>http://mirror.example/maven/</url>{blocked}</mirror></mirrors></settings>"""


def home_with(folder: Path, of: str, blocked: str = "") -> dict[str, str]:
    (folder / ".m2").mkdir()
    (folder / ".m2" / "settings.xml").write_text(SETTINGS.format(of=of, blocked=blocked))
    return {"HOME": str(folder), "XDG_CACHE_HOME": str(folder)}


@pytest.mark.parametrize("of", ["*", "central", "external:*", "*,!internal", "foo, central"])
def test_a_mirror_for_central_is_used(tmp_path: Path, of: str) -> None:
    assert mirror_of_central(home_with(tmp_path, of)) == "http://mirror.example/maven"


@pytest.mark.parametrize("of", ["internal", "*,!central"])
def test_a_mirror_for_something_else_is_not(tmp_path: Path, of: str) -> None:
    assert mirror_of_central(home_with(tmp_path, of)) is None


def test_a_blocked_mirror_is_not(tmp_path: Path) -> None:
    assert mirror_of_central(home_with(tmp_path, "*", "<blocked>true</blocked>")) is None


def test_variables_in_the_address_are_filled_in(tmp_path: Path) -> None:
    environ = home_with(tmp_path, "*") | {"REPO": "repo.example"}
    file = tmp_path / ".m2" / "settings.xml"
    file.write_text(file.read_text().replace("mirror.example", "${env.REPO}"))
    assert mirror_of_central(environ) == "http://repo.example/maven"


def test_a_remembered_jar_that_is_gone_is_looked_for_again(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    assert remembered_class_path(environ) is None
    from devstack.maven import _remember

    jar = tmp_path / "a.jar"
    jar.touch()
    _remember([str(jar)], environ)
    assert remembered_class_path(environ) == str(jar)
    jar.unlink()
    assert remembered_class_path(environ) is None


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux tells who waits for a lock")
async def test_a_start_waits_for_another_that_looks_and_takes_what_it_found(tmp_path: Path) -> None:
    """jgo breaks off where two processes fetch the same file, as `make demo` and `make test` would side by side."""
    from devstack.maven import _remember

    environ = {**os.environ, **home_with(tmp_path, "*")}
    jar = tmp_path / "a.jar"
    jar.touch()
    with alone(environ):
        other = await asyncio.create_subprocess_exec(sys.executable, "-m", "devstack.maven", env=environ, stdout=PIPE)
        waiting = f"-> FLOCK  ADVISORY  WRITE {other.pid} "
        await eventually(lambda: waiting in Path("/proc/locks").read_text(encoding="ascii"))
        _remember([str(jar)], environ)
    out, _ = await other.communicate()
    assert (out.decode(), other.returncode) == (f"{jar}\n", 0)


def test_where_nothing_can_be_kept_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "tidings").touch()  # where the folder should be
    environ = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    with alone(environ), alone(environ):
        assert remembered_class_path(environ) is None
