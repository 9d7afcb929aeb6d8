"""The processes of Tidings itself."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from devstack.health import http_answers
from devstack.ports import HOST
from devstack.processes import Command, Spawner
from devstack.services import Backoff, Service, where_to_look
from devstack.state import ROOT

_START_SECONDS = 120  # on a machine that is busy with something else as well
_GRACE_SECONDS = 30.0  # a little more than TIDINGS_SHUTDOWN_GRACE_SECONDS gives what is in flight
CHANNEL_ROLES = "push,email,sms,whatsapp"
APPLICATION_NAMES = ("api", "bridge", "orchestrator", "channels", "bulk")


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


class Application(Service):
    """One of them as a service of the stack."""

    def __init__(
        self,
        spec: ApplicationSpec,
        spawner: Spawner,
        *,
        env: Mapping[str, str],
        folder: Path = ROOT,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(
            Command(
                name=spec.name, argv=spec.argv, env={**env, **spec.variables}, cwd=folder, grace_seconds=_GRACE_SECONDS
            ),
            spawner,
            is_ready=lambda: http_answers(spec.ready_url),
            start_seconds=_START_SECONDS,
            advice=where_to_look(spec.name),
            backoff=backoff,
        )
