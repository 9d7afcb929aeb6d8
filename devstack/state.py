"""`.tidings/`: the lock of the one running stack, its addresses, its variables, its secrets and its logs."""

import fcntl
import json
import os
import secrets
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from devstack.processes import StackError

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".tidings"
_PRIVATE = 0o600


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Where everything listens; `metrics` maps a process to its `/metrics`."""

    postgres: str
    kafka: str
    temporal: str
    temporal_ui: str
    api: str
    sandbox: str
    smtp: str
    metrics: Mapping[str, str]


@contextmanager
def hold_lock(state: Path) -> Iterator[None]:
    """Be the one stack of this checkout; the lock goes with the process, however it ends.

    Raises:
        StackError: another one runs.

    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StackError(
                f"the stack of this checkout runs already (process {file.read().strip() or 'unknown'}):"
                " use it, or stop it with Ctrl-C there"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        forget(state)  # what a killed stack left behind
        yield


def is_running(state: Path = STATE) -> bool:
    """Whether a stack of this checkout runs now."""
    try:
        with (state / "lock").open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _write(file: Path, text: str) -> None:
    """Complete or not at all, and readable by the owner only: there are tokens in it."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    partial.touch(mode=_PRIVATE)
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def write_endpoints(state: Path, endpoints: Endpoints) -> None:
    _write(state / "endpoints.json", json.dumps(asdict(endpoints), indent=2) + "\n")


def write_variables(state: Path, variables: Mapping[str, str]) -> None:
    """The file to `source`."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    _write(state / "env", "".join(lines))


def read_variables(state: Path = STATE) -> dict[str, str]:
    """The variables of the running stack; empty where none runs."""
    file = state / "env"
    if not is_running(state) or not file.exists():
        return {}
    pairs = (shlex.split(line)[1].split("=", 1) for line in file.read_text(encoding="utf-8").splitlines())
    return {name: value for name, value in pairs}  # noqa: C416 - a list of pairs has no length that types can see


def make_data_folder(state: Path) -> Path:
    """A new folder for the servers' data, remembered so that even the data of a killed stack goes at the next start.

    It is not below the checkout: PostgreSQL may run as another user, whom a home folder may keep out.
    """
    folder = tempfile.mkdtemp(prefix="tidings-")
    os.chmod(folder, 0o755)  # noqa: PTH101, S103 - see above
    _write(state / "data-folder", folder)
    return Path(folder)


def forget(state: Path) -> None:
    """Take back the addresses, and the data, of a stack that is gone."""
    for name in ("endpoints.json", "env"):
        (state / name).unlink(missing_ok=True)
    note = state / "data-folder"
    if note.exists():
        shutil.rmtree(note.read_text(encoding="utf-8"), ignore_errors=True)
        note.unlink()


def kept_secret(state: Path, name: str) -> str:
    """A random secret that stays the same from start to start, so that a noted token keeps working."""
    file = state / name
    if not file.exists():
        _write(file, secrets.token_urlsafe(24))
    return file.read_text(encoding="utf-8").strip()


def read_endpoints(state: Path = STATE) -> Endpoints | None:
    """Where the running stack listens; None where none runs, or none is ready yet."""
    file = state / "endpoints.json"
    if not is_running(state) or not file.exists():
        return None
    return Endpoints(**json.loads(file.read_text(encoding="utf-8")))
