"""What each workflow asks of Temporal, in the order of its source: `python -m tests.histories.fingerprints` writes it.

A change here changes how running workflows replay. The test beside this file (tests/workflows/test_replay.py) says
what to do.
"""

import ast
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

Fingerprint = dict[str, dict[str, list[str]]]

FILE = Path(__file__).parent / "fingerprints.json"
_WORKFLOWS = Path(__file__).parents[2] / "workflows"
_COMMANDS = {
    *("start_activity_method", "execute_activity_method", "execute_local_activity_method"),
    *("start_child_workflow", "execute_child_workflow", "signal_external_workflow", "continue_as_new"),
    *("sleep", "wait_condition", "wait_for", "timeout", "gather", "create_task", "shield"),
    *("upsert_search_attributes", "patched", "deprecate_patch", "uuid4", "random", "cancel"),
    *("ask", "patiently", "make_plan", "signal"),
}
_TURNS = {ast.If: "if", ast.While: "while", ast.For: "for", ast.Try: "try", ast.ExceptHandler: "except"}


class _Reader(ast.NodeVisitor):
    """Collects the commands of each function with the turns that lead to them."""

    def __init__(self, commands: set[str]) -> None:
        self._commands = commands
        self.found: dict[str, list[str]] = {}
        self._path: list[str] = []
        self._turns: list[str] = []

    @override
    def visit(self, node: ast.AST) -> Any:
        turn = _TURNS.get(type(node))
        if turn is not None:
            self._turns.append(turn)
        if isinstance(node, ast.Call):
            self._note(node)
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            turns, self._turns = self._turns, []
            self._path.append(node.name)
            self.generic_visit(node)
            self._path.pop()
            self._turns = turns
        else:
            self.generic_visit(node)
        if turn is not None:
            self._turns.pop()

    def _note(self, call: ast.Call) -> None:
        name = ast.unparse(call.func).rpartition(".")[2]
        if name in self._commands:
            first = ast.unparse(call.args[0]) if call.args and isinstance(call.args[0], ast.Attribute) else ""
            self.found.setdefault(".".join(self._path), []).append(" > ".join([*self._turns, f"{name}({first})"]))


def fingerprint(sources: Mapping[str, str]) -> Fingerprint:
    """Commands by module and function; a function that leads to a command counts as one itself."""
    commands = set(_COMMANDS)
    while True:
        found = {name: _read(source, commands) for name, source in sources.items()}
        leading = {function.rpartition(".")[2] for functions in found.values() for function in functions}
        if leading <= commands:
            return {name: functions for name, functions in found.items() if functions}
        commands |= leading


def _read(source: str, commands: set[str]) -> dict[str, list[str]]:
    reader = _Reader(commands)
    reader.visit(ast.parse(source))
    return reader.found


def current() -> Fingerprint:
    return fingerprint({path.name: path.read_text() for path in sorted(_WORKFLOWS.glob("*.py"))})


if __name__ == "__main__":
    FILE.write_text(json.dumps(current(), indent=1) + "\n")
    sys.stdout.write(f"{FILE.name} written\n")
