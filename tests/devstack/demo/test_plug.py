"""The scene itself, with fewer events: real servers, real SIGKILL, and the account adds up."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from devstack.demo.plug import REPORT, pull_the_plug


@pytest.mark.real_kafka
@pytest.mark.timeout(700)
async def test_nothing_is_lost_when_workers_bridge_and_temporal_are_killed(tmp_path: Path) -> None:
    account = await pull_the_plug(Console(quiet=True), events=20, state=tmp_path)
    assert account.problems == []
    report = json.loads((tmp_path / REPORT).read_text(encoding="utf-8"))
    assert (report["ok"], report["ledger"], report["lost"]) == (True, {"sent": 40}, [])
    assert report["inbox"]["distinct"] == 40
