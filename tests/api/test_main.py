"""The API as a process: it starts honestly, serves, and stops on SIGTERM."""

import asyncio
import os
import signal
import sys

import httpx
import pytest
from pydantic import SecretStr

from api.main import RefusedToStartError, check_exposure, listen
from notifications.settings import Settings
from tests.api.support import HASH_KEY, TOKEN


@pytest.mark.parametrize("token", [None, SecretStr(""), SecretStr("  ")])
def test_it_refuses_to_be_reached_from_outside_without_a_token(token: SecretStr | None) -> None:
    with pytest.raises(RefusedToStartError, match="TIDINGS_API_TOKEN"):
        check_exposure(Settings(api_host="192.0.2.1", api_token=token))


def test_with_a_token_or_on_loopback_it_does_not() -> None:
    check_exposure(Settings(api_host="192.0.2.1", api_token=SecretStr(TOKEN)))
    check_exposure(Settings(api_host="127.0.0.1"))


def test_a_taken_port_is_said() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(RefusedToStartError, match="TIDINGS_API_PORT"):
            listen("127.0.0.1", port)


class TestProcess:
    async def _start(self, **variables: str) -> asyncio.subprocess.Process:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TIDINGS_", "KAFKA_"))}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import asyncio; from api.main import main; asyncio.run(main())",
            env={**kept, "TIDINGS_LOG_FORMAT": "json", "TIDINGS_HASH_KEY": HASH_KEY, **variables},
            stderr=asyncio.subprocess.PIPE,
        )

    async def test_it_serves_until_sigterm(
        self, database_url: str, temporal_address: str, kafka_bootstrap: str
    ) -> None:
        with listen("127.0.0.1", 0) as sock:
            port = sock.getsockname()[1]
        process = await self._start(
            TIDINGS_DATABASE_URL=database_url,
            TIDINGS_API_PORT=str(port),
            TIDINGS_API_TOKEN=TOKEN,
            TEMPORAL_ADDRESS=temporal_address,
            KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap,
        )
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                await _until_it_answers(client, process)
                assert (await client.get("/v1/notifications")).status_code == 401
                headers = {"Authorization": f"Bearer {TOKEN}"}
                assert (await client.get("/v1/notifications", headers=headers)).status_code == 200
                states = (await client.get("/readyz")).json()["dependencies"]
                assert states["postgres"]["ready"]
                assert states["temporal"]["ready"]
                assert "topics" in states["kafka"]["detail"]
                assert "tidings_api_requests_total" in (await client.get("/metrics")).text
        finally:
            process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(30):
                _, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert TOKEN not in errors.decode()

    async def test_it_refuses_a_stale_schema(self, postgres_server: str) -> None:
        process = await self._start(
            TIDINGS_DATABASE_URL=postgres_server, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:9", TIDINGS_API_PORT="0"
        )
        async with asyncio.timeout(60):
            _, errors = await process.communicate()
        assert process.returncode == 1
        assert "python -m tidings migrate" in errors.decode()


async def _until_it_answers(client: httpx.AsyncClient, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60):
        while process.returncode is None:
            try:
                await client.get("/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    assert process.stderr is not None
    pytest.fail((await process.stderr.read()).decode())
