"""The sandbox providers as a process of the stack."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from devstack.health import http_answers
from devstack.ports import HOST
from devstack.processes import Command, Spawner
from devstack.services import Service, where_to_look

_ROOT = Path(__file__).resolve().parent.parent
_START_SECONDS = 60


@dataclass(frozen=True)
class SandboxServer:
    service: Service
    url: str
    smtp_port: int


async def start_sandbox(
    http_port: int, smtp_port: int, spawner: Spawner, *, webhooks: str | None = None, secret: str | None = None
) -> SandboxServer:
    """Serve the providers' protocols and the inbox on loopback; receipts are signed by `secret` and go to `webhooks`.

    Raises:
        StackError: it does not start.

    """
    options = ["--http-port", str(http_port), "--smtp-port", str(smtp_port)]
    if webhooks is not None:
        options += ["--webhooks", webhooks]
    env = os.environ | ({"TIDINGS_DEV_SANDBOX_SECRET": secret} if secret is not None else {})
    url = f"http://{HOST}:{http_port}"
    service = Service(
        Command(name="sandbox", argv=(sys.executable, "-m", "devstack.sandbox", *options), env=env, cwd=_ROOT),
        spawner,
        is_ready=lambda: http_answers(f"{url}/api/health"),
        start_seconds=_START_SECONDS,
        advice=where_to_look("sandbox"),
    )
    await service.start()
    return SandboxServer(service, url, smtp_port)
