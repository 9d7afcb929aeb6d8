"""Install requirements.lock into .venv: `python .ci/install.py STAMP CHECKSUM`, from environment.sh.

pip brings uv, with the hash that the lock gives, and uv the rest. The stamp is written last, so that a run that was
interrupted is taken up again by the next. Only the standard library may be used here.
"""

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from run_uv import PYTHON, UV, VENV, run_uv

_LOCK = Path("requirements.lock")


def locked(package: str, lock: str) -> str:
    """The package's entry of the lock, hashes included."""
    match = re.search(rf"^{package}==.*(?:\n    --hash=.*)+", lock, re.MULTILINE)
    if match is None:
        sys.exit(f"requirements.lock does not name {package}: make it again with `make lock`")
    return match.group() + "\n"


def _succeeds(*command: str | Path) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _create_venv() -> None:
    if PYTHON.exists() and _succeeds(PYTHON, "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))"):
        return
    print(f"Making .venv with Python {sys.version.split()[0]}", flush=True)
    if VENV.is_dir() and not VENV.is_symlink():
        shutil.rmtree(VENV)
    venv.create(VENV, with_pip=True, symlinks=True)


def _install_uv(lock: str) -> None:
    requirement = locked("uv", lock)
    version = requirement.split("==")[1].split()[0]
    if UV.exists() and _succeeds(
        PYTHON, "-c", f"import importlib.metadata as m; assert m.version('uv') == '{version}'"
    ):
        return
    print(f"Fetching uv {version}", flush=True)
    file = VENV / "uv-requirement.txt"
    file.write_text(requirement, encoding="utf-8")
    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes"]
    if subprocess.run([*pip, "--requirement", str(file)], check=False).returncode:
        sys.exit("uv could not be fetched: pip says why above. Is the package index, or your mirror, reachable?")


def main(stamp: Path, checksum: str) -> None:
    lock = _LOCK.read_text(encoding="utf-8")
    stamp.unlink(missing_ok=True)
    _create_venv()
    _install_uv(lock)
    count = len(re.findall(r"^\S+==", lock, re.MULTILINE))
    print(f"Installing {count} packages (about 200 MB the first time; later runs need no network)", flush=True)
    quiet = [] if sys.stderr.isatty() else ["--quiet"]  # in a log nobody needs the list of them
    sync = ["pip", "sync", "--python", str(PYTHON), "--require-hashes", "--compile-bytecode", *quiet, str(_LOCK)]
    if run_uv(sync):
        sys.exit(
            "The packages could not be installed: uv says why above. Is the package index, or your mirror, reachable?"
        )
    partial = stamp.with_suffix(".partial")
    partial.write_text(checksum, encoding="utf-8")
    partial.replace(stamp)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
