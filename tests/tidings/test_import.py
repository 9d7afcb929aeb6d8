"""A file is imported to its end, through whatever breaks off in between."""

import asyncio
import csv
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import Result
from typing_extensions import override

from api.memory import MemoryCatalogue, MemoryWorkflows
from api.schemas.imports import ImportView
from notifications.database import Sessions
from notifications.imports.blocks import ImportBlocks
from notifications.queries.imports import newest_with_key
from notifications.settings import Settings
from notifications.statuses import ImportFormat
from notifications.tables import Recipient
from tests.api.support import HASH_KEY, TOKEN, definitions, unique
from tests.support.api_server import ApiServer
from tests.support.commands import run_command
from tests.support.integration import until
from tests.tidings.serving import serving
from tidings.api_client import open_api
from tidings.importing import Importer, Wanted, Watcher
from tidings.surroundings import CommandError


class Writers(MemoryWorkflows):
    """Writes the rows in this process; `idle`: whoever should is not there."""

    blocks: ImportBlocks
    idle = False

    @override
    async def start_import(self, import_id: UUID) -> None:
        self.imports.append(import_id)
        if not self.idle:
            asyncio.get_running_loop().create_task(self._write(import_id))

    async def _write(self, import_id: UUID) -> None:
        while not (await self.blocks.advance(import_id))[0].finished:
            pass


@pytest.fixture
def writers(sessions: Sessions) -> Writers:
    writers = Writers()
    writers.blocks = ImportBlocks(sessions, MemoryCatalogue(definitions()), hash_key=HASH_KEY.encode())
    return writers


@pytest.fixture
async def server(sessions: Sessions, writers: Writers) -> AsyncIterator[ApiServer]:
    server = serving(sessions, writers, import_max_bytes=8_000_000)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def run(server: ApiServer) -> Any:
    async def run(*arguments: object) -> Result:
        env = {"TIDINGS_PUBLIC_URL": server.url, "TIDINGS_API_TOKEN": TOKEN}
        return await run_command("import", *(str(argument) for argument in arguments), env=env)

    return run


def people(folder: Path, count: int, *, extra: str = "") -> Path:
    prefix = unique("cus")
    rows = "".join(f"{prefix}-{number},Somebody with a name,de\n" for number in range(count))
    file = folder / "people.csv"
    file.write_text(f"id,name,locale\n{extra}{rows}", encoding="utf-8")
    return file


def printed(result: Result) -> Any:
    """The JSON after what the application, in the same process, has logged."""
    return json.loads(result.stdout[result.stdout.index("{\n") :])


async def test_it_ends_with_the_counts_and_where_to_get_the_refused_rows(
    run: Any, tmp_path: Path, sessions: Sessions
) -> None:
    recipient = unique("cus")
    file = people(tmp_path, 2, extra=f"{recipient},Ana,not a locale\n{recipient},Ana,de\n,Nobody,\n")
    result = await run(file)
    assert result.exit_code == 1, result.output
    for words in ("people.csv: 5 rows, completed in", "3  created", "1  left out", "1  refused: id 1", "--refused"):
        assert words in result.stdout
    async with sessions() as session:
        kept = await session.get(Recipient, recipient)
    assert kept is not None
    assert kept.locale == "de"
    to = tmp_path / "refused.csv"
    again = await run(file, "--refused", to)
    assert "it was imported before" in again.stdout
    (row,) = csv.DictReader(to.read_text(encoding="utf-8").splitlines())
    assert (row["refused.line"], row["name"]) == ("4", "Nobody")


async def test_json_is_the_import(run: Any, tmp_path: Path) -> None:
    file = people(tmp_path, 3)
    result = await run(file, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    document = printed(result)
    assert (document["created"], document["imported_before"]) == (3, False)
    assert printed(await run(file, "--json"))["imported_before"] is True
    once_more = printed(await run(file, "--json", "--again"))
    assert (once_more["unchanged"], once_more["id"] != document["id"]) == (3, True)


async def test_a_dry_run_writes_nothing_and_is_never_an_old_one(run: Any, tmp_path: Path) -> None:
    file = people(tmp_path, 2)
    for _ in range(2):
        result = await run(file, "--dry-run")
        assert (result.exit_code, "checked, nothing was written" in result.stdout) == (0, True)
        assert "2  created" in result.stdout
    assert "2  created" in (await run(file)).stdout


async def test_ndjson_goes_by_its_name_or_by_the_option(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "people.jsonl"
    file.write_text(json.dumps({"id": unique("cus")}))
    assert (await run(file)).exit_code == 0
    other = file.rename(tmp_path / "people.txt")
    refused = await run(other)
    assert (refused.exit_code, "--format" in refused.stderr) == (1, True)
    assert (await run(other, "--format", "ndjson")).exit_code == 0


@pytest.mark.parametrize("size", [10, 5_000_000])
async def test_what_the_api_refuses_is_said_in_one_line(run: Any, tmp_path: Path, size: int) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(b"id,mail\n" + b"x,y\n" * (size // 4))
    result = await run(file)
    assert (result.exit_code, "did you mean email?" in result.stderr) == (1, True)


async def test_what_is_too_large_is_said_before_it_is_sent(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_bytes(b"id\n" + b"x\n" * 5_000_000)
    result = await run(file)
    assert (result.exit_code, "TIDINGS_IMPORT_MAX_BYTES" in result.stderr) == (1, True)


async def test_a_wrong_token_is_said(server: ApiServer, tmp_path: Path) -> None:
    env = {"TIDINGS_PUBLIC_URL": server.url, "TIDINGS_API_TOKEN": "another"}
    result = await run_command("import", str(people(tmp_path, 1)), env=env)
    assert (result.exit_code, "TIDINGS_API_TOKEN" in result.stderr) == (1, True)


async def stored(sessions: Sessions, file: Path) -> None:
    """Wait until some of the file is kept."""

    key = await asyncio.to_thread(lambda: hashlib.sha256(file.read_bytes()).hexdigest())

    async def some() -> bool:
        async with sessions() as session:
            return await newest_with_key(session, key) is not None

    await until(some)


class Saboteur(Watcher):
    """Takes the API away once some of the file is stored, and brings it back when that is noticed."""

    def __init__(self, server: ApiServer, some_stored: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._server = server
        self._some_stored = some_stored
        self._tasks: list[asyncio.Task[None]] = []
        self.offsets: list[int] = []
        self.troubles: list[str] = []

    async def _take_away(self) -> None:
        await self._some_stored()
        await self._server.stop()

    @override
    def sent(self, size: int) -> None:
        self.offsets.append(size)
        if not self._tasks:
            self._tasks.append(asyncio.create_task(self._take_away()))

    @override
    def waiting(self, why: str) -> None:
        self.troubles.append(why)
        if len(self._tasks) == 1 and self._tasks[0].done():
            self.offsets.clear()
            self._tasks.append(asyncio.create_task(self._server.start()))


def wanted(file: Path) -> Wanted:
    return Wanted(file=file, format=ImportFormat.CSV)


async def importer(server: ApiServer, file: Path, watcher: Watcher) -> ImportView:
    settings = Settings.model_validate({"public_url": server.url, "api_token": TOKEN})
    async with open_api(settings) as http, asyncio.timeout(120):
        finished = await Importer(http, wanted(file), watcher, sleep=lambda _: asyncio.sleep(0.05)).run()
    return finished.view


async def test_it_goes_on_where_it_was_after_an_outage_of_the_api(
    server: ApiServer, tmp_path: Path, sessions: Sessions
) -> None:
    file = people(tmp_path, 30_000)
    saboteur = Saboteur(server, lambda: stored(sessions, file))
    view = await importer(server, file, saboteur)
    assert (view.rows, view.created, view.received_bytes) == (30_000, 30_000, file.stat().st_size)
    assert "does not answer" in saboteur.troubles[0]
    assert min(saboteur.offsets) > 262_144, "it began anew"


async def test_another_process_goes_on_where_one_was_killed(
    server: ApiServer, tmp_path: Path, sessions: Sessions
) -> None:
    file = people(tmp_path, 30_000)
    dying = asyncio.create_task(importer(server, file, Watcher()))
    await stored(sessions, file)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    witness = Saboteur(server, lambda: asyncio.sleep(60))
    view = await importer(server, file, witness)
    assert (view.rows, view.created) == (30_000, 30_000)
    assert min(witness.offsets) > 262_144, "it began anew"


async def test_a_file_that_nobody_writes_is_offered_again_and_said(
    server: ApiServer, writers: Writers, tmp_path: Path
) -> None:
    file, times, said = people(tmp_path, 2), iter(range(0, 10_000, 10)), []
    writers.idle = True

    class Patient(Watcher):
        @override
        def waiting(self, why: str) -> None:
            said.append(why)
            writers.idle = False

    settings = Settings.model_validate({"public_url": server.url, "api_token": TOKEN})
    async with open_api(settings) as http, asyncio.timeout(30):
        made = Importer(
            http, wanted(file), Patient(), sleep=lambda _: asyncio.sleep(0.01), clock=lambda: float(next(times))
        )
        finished = await made.run()
    assert (finished.view.created, len(writers.imports)) == (2, 2)
    assert "role bulk" in said[0]


async def test_what_is_not_tidings_is_said(tmp_path: Path, server: ApiServer) -> None:
    settings = Settings.model_validate({"public_url": f"{server.url}/elsewhere"})
    async with open_api(settings) as http:
        with pytest.raises(CommandError, match="Check the path"):
            await Importer(http, wanted(people(tmp_path, 1)), Watcher()).run()
