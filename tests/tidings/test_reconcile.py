from typing import Any

import pytest
from temporalio.client import Client

from activities.temporal import RECONCILIATION
from tests.support.commands import run_command


@pytest.fixture
def env(temporal_address: str) -> dict[str, Any]:
    return {"TEMPORAL_ADDRESS": temporal_address}


async def test_it_creates_the_schedule_once(env: dict[str, Any], temporal_client: Client) -> None:
    try:
        first = await run_command("reconcile", "--every", "1h", env=env)
        assert (first.exit_code, "created, every 1h" in first.stdout) == (0, True), first.output
        second = await run_command("reconcile", env=env)
        assert (second.exit_code, "exists already" in second.stdout) == (0, True)
        assert "no run has completed yet" in second.stdout
    finally:
        await temporal_client.get_schedule_handle(RECONCILIATION).delete()


@pytest.mark.parametrize("every", ["0m", "often"])
async def test_a_wrong_interval_is_said(env: dict[str, Any], every: str) -> None:
    result = await run_command("reconcile", "--every", every, env=env)
    assert (result.exit_code, "5m" in result.stderr or "30m" in result.stderr) == (1, True)
