"""The demo itself, on a stack of its own: every event ends as it says, and the inboxes hold what the ledger claims."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from devstack.demo.performance import REPORT, perform


@pytest.mark.timeout(400)
async def test_every_scene_ends_as_expected(tmp_path: Path):
    played = await perform(Console(quiet=True), stays=False, recipients=1_500, state=tmp_path)
    assert played.problems == []
    report = json.loads((tmp_path / REPORT).read_text(encoding="utf-8"))
    assert report["ok"] is True
    events = {event["scene"]: event for event in report["events"]}
    payment = events["transactional"]
    assert payment["notification_id"]
    assert [(message["channel"], message["status"], len(message["received"])) for message in payment["messages"]] == [
        ("push", "sent", 1),
        ("push", "sent", 1),
        ("email", "sent", 1),
    ]
    assert events["stuck"]["was_stuck"]
    assert events["malformed"]["rejections"][0]["reason"] == "schema"
    assert events["fails_twice"]["messages"][0]["attempts"] == ["transient", "transient", "accepted"]
    campaign = report["campaign"]
    assert (campaign["ok"], campaign["account"]["targeted"], campaign["inbox"]["duplicates"]) == (True, 1_500, 0)
    assert campaign["inbox"]["accepted"] == campaign["account"]["by_status"]["sent"]
    assert campaign["after_unsubscribing"] == {"sent": 1, "skipped": 1}
