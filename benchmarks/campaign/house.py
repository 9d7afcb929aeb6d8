"""What campaigns are sent with: a dev stack of the benchmark's own, with two bulk workers that write to the receiver.

PostgreSQL syncs each commit, Temporal's development server keeps all in memory. The bare loops run beside the workers
and wait while those work, and the other way round.
"""

import asyncio
import json
import os
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import httpx
from rich.console import Console
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory

from benchmarks._stack import processes
from benchmarks.campaign.people import CATEGORY, DATA, TEMPLATE, audience, fill_people
from benchmarks.campaign.receiver import Receiver, running_receiver
from devstack.applications import APPLICATION_NAMES
from devstack.ports import free_ports, ports_apart
from devstack.postgres import start_postgres
from devstack.preparation import Database
from devstack.processes import Command, Spawner
from devstack.state import ROOT, read_variables
from devstack.supervisor import SERVER_NAMES, Stack, StackOptions, running_stack
from devstack.variables import given_servers, process_environment
from notifications.database import Sessions

WORKERS = ("bulk-1", "bulk-2")
LOOPS = ("bare-1", "bare-2")
LISTED_EVERY = 0.2  # seconds: what has ended is listed a little later
_QUIET = (*SERVER_NAMES, *APPLICATION_NAMES, *WORKERS, "stack", "catalogue")


class BareLoop:
    """One of the processes of the measure."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.pid = process.pid

    async def send(self, first: int, last: int, origin: UUID, *, by: str) -> None:
        assert self._process.stdin is not None
        work = {"first": first, "last": last, "origin": str(origin), "by": by}
        self._process.stdin.write(json.dumps(work).encode() + b"\n")
        await self.expect(b"done\n")

    async def expect(self, word: bytes) -> None:
        assert self._process.stdout is not None
        said = await self._process.stdout.readline()
        assert said == word, f"a bare loop said {said!r}"


@dataclass(frozen=True, kw_only=True)
class House:
    """`pids` are those of all processes, the receiver among them."""

    stack: Stack
    sessions: Sessions
    receiver: Receiver
    loops: tuple[BareLoop, ...]
    api: httpx.AsyncClient
    temporal: Client
    pids: Mapping[str, int]
    workers: Mapping[str, int]

    async def launch(self, recipients: int) -> UUID:
        body = {
            "name": f"{recipients} recipients",
            "category": CATEGORY,
            "channel": "email",
            "template": TEMPLATE,
            "data": DATA,
            "audience": audience(recipients),
        }
        answer = (await self.api.post("/v1/campaigns", json=body)).raise_for_status()
        campaign = UUID(answer.json()["campaign"]["id"])
        (await self.api.post(f"/v1/campaigns/{campaign}/launch", json={})).raise_for_status()
        return campaign

    async def histories(self, campaign: UUID) -> list[WorkflowHistory]:
        """Of all runs of a campaign that has ended, once the server lists them as ended."""
        query = f"WorkflowId STARTS_WITH 'campaign-{campaign}'"
        while True:
            found = [each async for each in self.temporal.list_workflows(query)]
            if found and all(each.status != WorkflowExecutionStatus.RUNNING for each in found):
                handles = [self.temporal.get_workflow_handle(each.id, run_id=each.run_id) for each in found]
                return [await handle.fetch_history() for handle in handles]
            await asyncio.sleep(LISTED_EVERY)

    async def send_bare(self, recipients: int, *, by: str) -> UUID:
        """The same mails by the measure, half of them by each process; `by` names its HTTP client."""
        origin, size = uuid4(), -(-recipients // len(self.loops))
        await asyncio.gather(
            *(
                loop.send(begun + 1, min(begun + size, recipients), origin, by=by)
                for loop, begun in zip(self.loops, range(0, recipients, size), strict=False)
            )
        )
        return origin


@asynccontextmanager
async def running_house(people: int, calls_at_once: int) -> AsyncIterator[House]:
    """Raises SystemExit where the environment names servers, whose data are not a benchmark's to fill."""
    given = given_servers(os.environ)
    if given:
        sys.exit(f"a benchmark starts servers of its own: unset the variables of {', '.join(given)} first")
    with running_receiver() as receiver:
        async with AsyncExitStack() as closing:
            name = closing.enter_context(
                tempfile.TemporaryDirectory(prefix="tidings-campaign-", ignore_cleanup_errors=True)
            )
            os.chmod(name, 0o755)  # noqa: PTH101, S103 - PostgreSQL may run as another user, who has to reach its data
            folder, spawner = Path(name), Spawner(lambda _name, _line: None)
            closing.push_async_callback(spawner.stop_all)
            server = await start_postgres(folder / "postgres", free_ports(1)[0], spawner, persist=True)
            database = Database(server.url)
            closing.push_async_callback(database.close)
            await _fill(database, people)
            os.environ |= {
                "TIDINGS_DATABASE_URL": server.url,
                "TIDINGS_MAX_RETRY_FOR": "30m",
                "TIDINGS_LOG_FORMAT": "json",
                "TIDINGS_EMAIL_PROVIDERS": "sendgrid",
                "TIDINGS_CAMPAIGN_CALLS": str(calls_at_once),
            }
            options = StackOptions(state=folder / "state", quiet=_QUIET, ports=ports_apart())
            stack = await closing.enter_async_context(running_stack(options, Console(stderr=True)))
            await stack.applications["bulk"].take_down()
            variables = read_variables(folder / "state")
            environment = process_environment(
                variables | {"TIDINGS_DEV_SANDBOX_URL": receiver.url}, state=folder / "state"
            )
            workers = {name: await _start_worker(stack, name, environment) for name in WORKERS}
            loops = [await closing.enter_async_context(_bare_loop(environment, calls_at_once)) for _ in LOOPS]
            headers = {"authorization": f"Bearer {variables['TIDINGS_API_TOKEN']}"}
            api = await closing.enter_async_context(
                httpx.AsyncClient(base_url=stack.endpoints.api, headers=headers, timeout=60)
            )
            others = {name: pid for name, pid in processes(stack).items() if name != "bulk"}
            yield House(
                stack=stack,
                sessions=database.sessions,
                receiver=receiver,
                loops=tuple(loops),
                api=api,
                temporal=await Client.connect(stack.endpoints.temporal),
                pids=others
                | workers
                | {name: loop.pid for name, loop in zip(LOOPS, loops, strict=True)}
                | {"postgres": server.service.process.pid, "receiver": receiver.pid},
                workers=workers,
            )


async def _fill(database: Database, people: int) -> None:
    await database.migrate()
    await database.apply_catalogue(lambda _line: None)
    await database.load_recipients()
    await fill_people(database.sessions, people)


async def _start_worker(stack: Stack, name: str, environment: Mapping[str, str]) -> int:
    argv = (sys.executable, "-m", "tidings", "worker", "--roles", "bulk")
    process = await stack.spawner.start(Command(name=name, argv=argv, env=environment, cwd=ROOT))
    return process.pid


@asynccontextmanager
async def _bare_loop(environment: Mapping[str, str], calls_at_once: int) -> AsyncIterator[BareLoop]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.campaign.bare", str(calls_at_once)),
        stdin=PIPE,
        stdout=PIPE,
        env=environment,
        cwd=ROOT,
    )
    loop = BareLoop(process)
    try:
        await loop.expect(b"ready\n")
        yield loop
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
