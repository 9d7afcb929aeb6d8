"""The processes of Tidings itself, and how one is kept running."""

import asyncio
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devstack.health import http_answers, wait_until_healthy
from devstack.ports import HOST
from devstack.processes import Command, GuardedProcess, Spawner
from devstack.state import ROOT

_START_SECONDS = 120  # on a machine that is busy with something else as well
_GRACE_SECONDS = 30.0  # a little more than TIDINGS_SHUTDOWN_GRACE_SECONDS gives what is in flight
CHANNEL_ROLES = "push,email,sms,whatsapp"
APPLICATION_NAMES = ("api", "bridge", "orchestrator", "channels", "bulk")


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a crashed process is started again; one that held out begins anew."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    steady_seconds: float = 30.0

    def delay(self, crashes: int) -> float:
        return float(min(self.longest_seconds, self.first_seconds * 2 ** (crashes - 1)))


@dataclass(frozen=True, kw_only=True)
class ApplicationSpec:
    """`ready_url` answers 200 when the process can work; `variables` are added to the stack's.

    What does not speak Kafka need not wait for it.
    """

    name: str
    argv: tuple[str, ...]
    ready_url: str
    speaks_kafka: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


def applications(ports: Mapping[str, int]) -> tuple[ApplicationSpec, ...]:
    """The API, the bridge and one worker process per group of roles."""

    def worker(name: str, roles: str) -> ApplicationSpec:
        return _with_metrics(name, ("worker", "--roles", roles), ports[f"{name}_metrics"])

    return (
        ApplicationSpec(
            name="api", argv=_tidings("api"), ready_url=f"http://{HOST}:{ports['api']}/readyz", speaks_kafka=True
        ),
        _with_metrics("bridge", ("bridge",), ports["bridge_metrics"], speaks_kafka=True),
        worker("orchestrator", "orchestrator"),
        worker("channels", CHANNEL_ROLES),
        worker("bulk", "bulk"),
    )


def _tidings(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "tidings", *arguments)


def _with_metrics(name: str, arguments: tuple[str, ...], port: int, *, speaks_kafka: bool = False) -> ApplicationSpec:
    variables = {"TIDINGS_METRICS_HOST": HOST, "TIDINGS_METRICS_PORT": str(port)}
    return ApplicationSpec(
        name=name,
        argv=_tidings(*arguments),
        ready_url=f"http://{HOST}:{port}/readyz",
        speaks_kafka=speaks_kafka,
        variables=variables,
    )


class Application:
    """One process that is started again when it ends by itself."""

    def __init__(
        self,
        spec: ApplicationSpec,
        spawner: Spawner,
        *,
        env: Mapping[str, str],
        folder: Path = ROOT,
        backoff: Backoff | None = None,
    ) -> None:
        self.spec = spec
        self.process: GuardedProcess | None = None
        self._spawner = spawner
        self._command = Command(
            name=spec.name, argv=spec.argv, env={**env, **spec.variables}, cwd=folder, grace_seconds=_GRACE_SECONDS
        )
        self._backoff = backoff or Backoff()

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            StackError: it ended, or is not ready in time.

        """
        self.process = await self._spawner.start(self._command)
        await wait_until_healthy(
            self.process,
            lambda: http_answers(self.spec.ready_url),
            timeout_seconds=_START_SECONDS,
            advice=f"its log is above and in .tidings/logs/{self.spec.name}.log",
        )

    async def keep_running(self) -> None:
        """Start it again, later and later, each time it ends; until cancelled."""
        crashes = 0
        while True:
            assert self.process is not None  # noqa: S101 - `start` came first
            began = time.monotonic()
            status = await self.process.wait()
            held_out = time.monotonic() - began >= self._backoff.steady_seconds
            crashes = 1 if held_out else crashes + 1
            delay = self._backoff.delay(crashes)
            self._spawner.say(self.spec.name, f"ended with status {status}; starts again in {delay:g} s")
            await asyncio.sleep(delay)
            self.process = await self._spawner.start(self._command)
