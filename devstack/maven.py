"""Apache Kafka's jars: found once by `jgo`, then remembered, so that later starts need neither time nor network.

Run as a program (`python -m devstack.maven`) it prints the class path; that takes some seconds and, the first time,
fetches 44 MB into the local Maven repository.
"""

import fcntl
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as ET

# `kafka-clients` is named because jgo would otherwise pick an older one (it takes the nearest, Maven the managed).
COORDINATES = (
    "org.apache.kafka:kafka_2.13:4.3.1",
    "org.apache.kafka:kafka-clients:4.3.1",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
    "org.apache.logging.log4j:log4j-core:2.25.4",
)
_ALL_REPOSITORIES = {"*", "external:*", "central"}


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())


def _cache_file(environ: Mapping[str, str]) -> Path:
    base = Path(environ.get("XDG_CACHE_HOME") or _home(environ) / ".cache")
    key = hashlib.sha256("\n".join(COORDINATES).encode()).hexdigest()[:12]
    return base / "tidings" / f"kafka-{key}.json"


def remembered_class_path(environ: Mapping[str, str] = os.environ) -> str | None:
    """The class path of an earlier start, if every jar is still where it was."""
    try:
        jars = json.loads(_cache_file(environ).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return ":".join(jars) if jars and all(Path(jar).is_file() for jar in jars) else None


def _remember(jars: list[str], environ: Mapping[str, str]) -> None:
    file = _cache_file(environ)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(jars), encoding="utf-8")
        partial.replace(file)
    except OSError as error:
        print(f"the class path cannot be kept in {file}: {error.strerror}", file=sys.stderr)  # noqa: T201 - a program


@contextmanager
def alone(environ: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Wait for other starts that look for the jars: jgo breaks off where another process fetches the same file."""
    file = _cache_file(environ).with_suffix(".lock")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = file.open("a")
    except OSError:  # nothing can be kept there; then each start looks for itself
        yield
        return
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _settings_files(environ: Mapping[str, str]) -> list[Path]:
    """The user's settings first: they win over those of the installation."""
    files = [_home(environ) / ".m2" / "settings.xml"]
    files += [Path(environ[name], "conf", "settings.xml") for name in ("MAVEN_HOME", "M2_HOME") if environ.get(name)]
    return [*files, Path("/etc/maven/settings.xml")]


def _mirrors(file: Path) -> list[tuple[str, str]]:
    """(mirrorOf, url) of each mirror, whatever the file's XML namespace."""
    try:
        root = ET.parse(file).getroot()  # noqa: S314 - the user's own file
    except (OSError, ET.ParseError):
        return []
    return [
        ((mirror.findtext("{*}mirrorOf") or "").strip(), (mirror.findtext("{*}url") or "").strip())
        for mirror in root.iterfind(".//{*}mirror")
        if (mirror.findtext("{*}blocked") or "").strip() != "true"
    ]


def _is_for_central(mirror_of: str) -> bool:
    patterns = {part.strip() for part in mirror_of.split(",")}
    return bool(patterns & _ALL_REPOSITORIES) and "!central" not in patterns


def mirror_of_central(environ: Mapping[str, str] = os.environ) -> str | None:
    """The address that Maven's settings put in the place of Maven Central; jgo does not read them itself."""
    for file in _settings_files(environ):
        for mirror_of, url in _mirrors(file):
            if url and _is_for_central(mirror_of):
                return re.sub(r"\$\{env\.(\w+)\}", lambda found: environ.get(found[1], ""), url).rstrip("/")
    return None


def resolve(environ: Mapping[str, str] = os.environ) -> str:
    """Ask the repository which jars are needed, fetch those that are missing and return the class path.

    Raises:
        Exception: jgo has no error of its own; whatever a repository that does not answer makes of it.

    """
    import jgo  # noqa: PLC0415 - only where the dev stack runs
    import truststore  # noqa: PLC0415 - the same

    truststore.inject_into_ssl()
    mirror = mirror_of_central(environ)
    artifacts = jgo.resolve("+".join(COORDINATES), repositories={"central": mirror} if mirror else None)
    jars = [str(artifact.resolve()) for artifact in artifacts]
    _remember(jars, environ)
    return ":".join(jars)


if __name__ == "__main__":
    with alone():
        print(remembered_class_path() or resolve())  # noqa: T201 - what it is for
