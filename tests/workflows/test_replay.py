"""Code that is deployed has to go on with workflows that began under older code."""

import json
from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.histories import fingerprints
from tests.histories.turns import TURNS
from worker.composition import WORKFLOWS

FOLDER = Path(fingerprints.__file__).parent
HISTORIES = sorted(path for path in FOLDER.glob("*.json") if path != fingerprints.FILE)
HOW_TO = """The commands of a workflow changed. Workflows that run replay their history with this code, so:
1. if a released version has it, put the change behind `workflow.patched("what-changed")`, the old way in the else;
2. keep the histories of that version (`git mv tests/histories/done.json tests/histories/done.v1.json`),
   record new ones with `python -m tests.histories.record`, and run this file;
3. write the new baseline with `python -m tests.histories.fingerprints`."""


async def replay(text: str) -> None:
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=SandboxedWorkflowRunner(),
        data_converter=pydantic_data_converter,
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(json.loads(text)["workflowId"], text))


@pytest.mark.parametrize("name", [path.stem for path in HISTORIES])
async def test_recorded_histories_replay(name: str):
    await replay(_text(name))


def test_every_turn_is_recorded():
    assert TURNS.keys() <= {path.name.split(".")[0] for path in HISTORIES}


async def test_a_history_of_other_code_is_refused():
    """Else the replays above would prove nothing."""
    text = _text("done")
    assert text.count('"name": "send"') == 2
    with pytest.raises(workflow.NondeterminismError):
        await replay(text.replace('"name": "send"', '"name": "dispatch"'))


def test_the_commands_of_the_workflows_are_those_of_the_baseline():
    assert fingerprints.current() == json.loads(fingerprints.FILE.read_text()), HOW_TO


def test_a_fingerprint_sees_another_order_and_another_condition():
    before = "async def run():\n    await ask(A.plan)\n    await workflow.sleep(1)\n"
    swapped = "async def run():\n    await workflow.sleep(1)\n    await ask(A.plan)\n"
    sometimes = "async def run():\n    if x:\n        await ask(A.plan)\n    await workflow.sleep(1)\n"
    other = before.replace("A.plan", "A.look")
    baseline = fingerprints.fingerprint({"a.py": before})
    assert baseline == {"a.py": {"run": ["ask(A.plan)", "sleep()"]}}
    for changed in (swapped, sometimes, other):
        assert fingerprints.fingerprint({"a.py": changed}) != baseline


def test_histories_name_no_machine():
    for path in HISTORIES:
        text = path.read_text()
        assert "identity" not in text
        assert "/site-packages/" not in text


def _text(name: str) -> str:
    return (FOLDER / f"{name}.json").read_text()
