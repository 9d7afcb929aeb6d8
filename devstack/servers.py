"""The four servers of the stack: ours, or those that the environment names, which are only looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from bridge.topics import all_topics
from devstack.kafka import PARTITIONS, start_kafka
from devstack.ports import HOST
from devstack.postgres import postgres_url, start_postgres
from devstack.processes import Spawner, StackError
from devstack.sandbox_process import start_sandbox
from devstack.services import Service
from devstack.state import Endpoints
from devstack.steps import Step
from devstack.variables import given_servers, own_accounts, sandbox_secret, stack_variables
from notifications.settings import load_settings

if TYPE_CHECKING:
    from devstack.checks import Problem
    from devstack.preparation import Database

# The heavy imports (SQLAlchemy, Temporal, the catalogue: seconds together) are made inside the steps, while the
# servers that have been started are using the other processors.
_UNTOUCHED = {
    "postgres": "it is not migrated, and neither catalogue nor recipients are written to it",
    "temporal": "nothing is created there",
    "kafka": "no topic is created there",
}


class Servers:
    """`services` are ours, `database` is None where the user's own is used, `notes` are plain lines for the user.

    With `persist` what is in `folder` is used again, and stays.
    """

    def __init__(
        self,
        ports: Mapping[str, int],
        spawner: Spawner,
        *,
        folder: Path,
        state: Path,
        environ: Mapping[str, str],
        persist: bool = False,
    ) -> None:
        self.services: dict[str, Service] = {}
        self._persist = persist
        self.database: Database | None = None
        self._ports, self._spawner, self._folder, self._state, self._environ = ports, spawner, folder, state, environ
        self._given = given_servers(environ)
        self._addresses = {
            "postgres": postgres_url(ports["postgres"]),
            "temporal": f"{HOST}:{ports['temporal']}",
            "kafka": f"{HOST}:{ports['kafka']}",
        } | self._given
        self._builtin_kafka = False
        self._topics = all_topics(load_settings(environ).topics)
        self.notes = [f"your own {name} is used: {_UNTOUCHED[name]}" for name in self._given]
        self.notes += [
            f"your own {provider} account is used, for TIDINGS_DEV_ALLOW_RECIPIENTS only; all else goes to the sandbox"
            for provider in own_accounts(environ)
        ]

    def steps(self) -> list[Step]:
        return [
            Step("kafka", (), self._kafka),
            Step("postgres", (), self._postgres),
            Step("sandbox", (), self._sandbox),
            Step("temporal", (), self._temporal),
            Step("migrations", ("postgres",), self._migrate),
            Step("catalogue", ("migrations",), self._apply_catalogue),
            Step("recipients", ("migrations",), self._load_recipients),
            Step("topics", ("kafka",), self._create_topics),
        ]

    @property
    def endpoints(self) -> Endpoints:
        """Sure once kafka has started: the built-in cluster chooses its own port."""
        api = f"http://{HOST}:{self._ports['api']}"
        metrics = {
            name.removesuffix("_metrics"): f"http://{HOST}:{port}/metrics"
            for name, port in self._ports.items()
            if name.endswith("_metrics")
        }
        ui = f"http://{HOST}:{self._ports['temporal_ui']}"
        if "temporal" in self._given:
            ui = self._environ.get("TIDINGS_TEMPORAL_UI_URL", "http://localhost:8233")
        return Endpoints(
            postgres=self._addresses["postgres"],
            kafka=self._addresses["kafka"],
            temporal=self._addresses["temporal"],
            temporal_ui=ui,
            api=api,
            sandbox=f"http://{HOST}:{self._ports['sandbox']}",
            smtp=f"{HOST}:{self._ports['smtp']}",
            metrics={"api": f"{api}/metrics", **metrics},
        )

    def variables(self) -> dict[str, str]:
        """What the applications run with; as sure as `endpoints`."""
        return stack_variables(self.endpoints, state=self._state, environ=self._environ)

    async def take_down(self, name: str, *, kill: bool = False) -> None:
        """End a server and leave it so: politely, or by SIGKILL to all its processes.

        Raises:
            StackError: it is not ours, or would lose its data.

        """
        await self._own(name).take_down(kill=kill)

    async def bring_back(self, name: str) -> None:
        """Start it again, on the same port and data, and wait until it is healthy.

        Raises:
            StackError: it is not ours, or does not start.

        """
        await self._own(name).bring_back()

    def _own(self, name: str) -> Service:
        if name not in self.services:
            raise StackError(f"{name} is not a server of this stack: only {', '.join(sorted(self.services))}")
        if not self._persist:
            raise StackError(f"{name} would lose its data: start the stack with --persist")
        return self.services[name]

    async def close(self) -> None:
        if self.database is not None:
            await self.database.close()

    async def _postgres(self) -> None:
        if "postgres" in self._given:
            from devstack.checks import database_problem  # noqa: PLC0415 - see above

            _refuse(await database_problem(SecretStr(self._given["postgres"])))
            return
        server = await start_postgres(
            self._folder / "postgres", self._ports["postgres"], self._spawner, persist=self._persist
        )
        self.services["postgres"] = server.service

    async def _migrate(self) -> None:
        if "postgres" not in self._given:
            from devstack.preparation import Database  # noqa: PLC0415 - see above

            self.database = Database(self._addresses["postgres"])
            await self.database.migrate()

    async def _apply_catalogue(self) -> None:
        if self.database is not None:
            await self.database.apply_catalogue(self._say_of_catalogue)

    async def follow_catalogue(self) -> None:
        """Publish `catalogue/` after each save, until cancelled; not into a database of the user's own."""
        if self.database is not None:
            await self.database.follow_catalogue(self._say_of_catalogue)

    def _say_of_catalogue(self, line: str) -> None:
        self._spawner.say("catalogue", line)

    async def _load_recipients(self) -> None:
        if self.database is not None:
            await self.database.load_recipients()

    async def _temporal(self) -> None:
        if "temporal" in self._given:
            from devstack.checks import temporal_problem  # noqa: PLC0415 - see above

            _refuse(await temporal_problem())
            return
        from temporalio.client import Client  # noqa: PLC0415 - see above

        from activities.temporal import SEARCH_ATTRIBUTES  # noqa: PLC0415 - see above
        from devstack.temporal import start_temporal  # noqa: PLC0415 - see above
        from workflows.reconciliation import create_reconciliation  # noqa: PLC0415 - see above

        server = await start_temporal(
            self._ports["temporal"],
            self._spawner,
            ui_port=self._ports["temporal_ui"],
            search_attributes=SEARCH_ATTRIBUTES,
            folder=self._folder / "temporal" if self._persist else None,
        )
        self.services["temporal"] = server.service
        await create_reconciliation(await Client.connect(server.address))

    async def _kafka(self) -> None:
        if "kafka" in self._given:
            return
        server = await start_kafka(
            self._folder / "kafka", self._ports["kafka"], self._spawner, topics=self._topics, persist=self._persist
        )
        self.services["kafka"] = server.service
        self._addresses["kafka"] = server.bootstrap
        if server.fallback is not None:
            self._builtin_kafka = True
            self._spawner.say(
                "stack", f"{server.fallback}: librdkafka's built-in cluster serves Kafka at {server.bootstrap}"
            )

    async def _create_topics(self) -> None:
        if "kafka" in self._given:
            from bridge.kafka_settings import kafka_config  # noqa: PLC0415 - see above
            from devstack.checks import kafka_problem  # noqa: PLC0415 - see above

            _refuse(await kafka_problem(kafka_config(self._environ), self._topics, partitions=PARTITIONS))
        elif not self._builtin_kafka:  # which has no admin API and was started with the topics
            from devstack.preparation import create_topics  # noqa: PLC0415 - see above

            await create_topics(self._addresses["kafka"], self._topics, PARTITIONS)

    async def _sandbox(self) -> None:
        server = await start_sandbox(
            self._ports["sandbox"],
            self._ports["smtp"],
            self._spawner,
            webhooks=f"http://{HOST}:{self._ports['api']}/webhooks",
            secret=sandbox_secret(self._state, self._environ),
        )
        self.services["sandbox"] = server.service


def _refuse(problem: "Problem | None") -> None:
    if problem is not None:
        raise StackError(str(problem))
