"""Tidings with vendors that report: the API and the sandbox as processes of their own, and workers that send there."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr

from devstack.ports import HOST, free_ports
from devstack.processes import Spawner
from devstack.sandbox_process import start_sandbox
from devstack.services import Service
from notifications.providers.registry import build_providers
from notifications.statuses import Channel
from tests.support.integration import HASH_KEY, House, running_house, until
from tests.support.postgres import fresh_database
from tests.support.servers import settle_temporal

SECRET = "of this stack only"


class Reporting:
    """A house whose providers are the sandbox's."""

    def __init__(self, house: House, vendors: Service, sandbox: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
        self.house = house
        self.vendors = vendors  # the process behind `sandbox`
        self.sandbox = sandbox
        self.api = api

    async def report(self, provider: str, **knobs: Any) -> None:
        """Have a vendor report from now on."""
        answer = await self.sandbox.put(f"/api/receipts/{provider}", json=knobs)
        assert answer.status_code == 200, answer.text

    async def fault(self, provider: str, **knobs: Any) -> None:
        assert (await self.sandbox.put(f"/api/faults/{provider}", json=knobs)).is_success

    async def quiet(self) -> None:
        """No vendor reports, none has a fault."""
        assert (await self.sandbox.delete("/api/faults")).is_success
        for provider in ("twilio", "meta", "sendgrid"):
            assert (await self.sandbox.delete(f"/api/receipts/{provider}")).is_success

    async def counted(self, provider: str, result: str) -> float:
        """What the API counted in `tidings_receipts_total`."""
        text = (await self.api.get("/metrics")).text
        pattern = rf'tidings_receipts_total{{provider="{provider}",result="{result}"}} (\S+)'
        return sum(float(value) for value in re.findall(pattern, text))

    async def until_counted(self, provider: str, result: str, count: float) -> None:
        async def has_come() -> bool:
            return await self.counted(provider, result) >= count

        await until(has_come)


@asynccontextmanager
async def running_reporting(postgres_server: str, temporal_address: str, **changes: Any) -> AsyncIterator[Reporting]:
    """On a database of its own. Everything but Kafka, which nobody needs who sends no event; `changes` are settings."""
    api_port, sandbox_port, smtp_port = free_ports(3)
    api_url = f"http://{HOST}:{api_port}"
    settings: dict[str, Any] = {
        "public_url": "https://tidings.example",  # signed by Twilio; the request itself comes as through a tunnel
        "dev_sandbox_url": f"http://{HOST}:{sandbox_port}",
        "dev_sandbox_secret": SecretStr(SECRET),
        "dev_sandbox_smtp_port": smtp_port,
        "email_providers": ("sendgrid",),
    } | changes
    async with AsyncExitStack() as stack:
        database_url = await stack.enter_async_context(fresh_database(postgres_server))
        sandbox = await start_sandbox(
            sandbox_port, smtp_port, Spawner(lambda *_: None), webhooks=f"{api_url}/webhooks", secret=SECRET
        )
        stack.push_async_callback(sandbox.service.take_down)
        house = await stack.enter_async_context(running_house(temporal_address, database_url, **settings))
        built = build_providers(house.settings, list(Channel))
        for (provider,) in built.values():
            stack.push_async_callback(provider.close)
        house.providers = {channel: provider for channel, (provider,) in built.items()}
        await stack.enter_async_context(_api(house, api_port, temporal_address, database_url))
        for worker in house.workers():
            await stack.enter_async_context(worker)
        clients = [httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) for url in (sandbox.url, api_url)]
        yield Reporting(house, sandbox.service, *[await stack.enter_async_context(client) for client in clients])
    await settle_temporal()


@asynccontextmanager
async def _api(house: House, port: int, temporal_address: str, database_url: str) -> AsyncIterator[None]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIDINGS_", "KAFKA_"))}
    settings = house.settings
    assert settings.dev_sandbox_url is not None
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio; from api.main import main; asyncio.run(main())",
        env=kept
        | {
            "TIDINGS_DATABASE_URL": database_url,
            "TIDINGS_HASH_KEY": HASH_KEY,
            "TIDINGS_API_PORT": str(port),
            "TIDINGS_PUBLIC_URL": settings.public_url,
            "TIDINGS_DEV_SANDBOX_URL": settings.dev_sandbox_url,
            "TIDINGS_DEV_SANDBOX_SECRET": SECRET,
            "TIDINGS_LOG_FORMAT": "json",
            "TEMPORAL_ADDRESS": temporal_address,
            "TEMPORAL_NAMESPACE": house.client.namespace,
            "KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:9",
        },
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", trust_env=False) as client:

            async def answers() -> bool:
                assert process.returncode is None, "the API ended"
                try:
                    return (await client.get("/healthz")).is_success
                except httpx.TransportError:
                    return False

            await until(answers, seconds=60)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
