"""`python -m tidings`: light to start, and it says what is wrong in words."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.programs import ROOT
from tidings.__main__ import COMMANDS

HEAVY = {"temporalio", "sqlalchemy", "alembic", "confluent_kafka", "fastapi", "jinja2", "aiohttp"}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TIDINGS_", "KAFKA_"))}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env={**clean, **environ}, timeout=120, check=False
    )


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    source = (
        "import sys; sys.argv = ['tidings', '--help']\n"
        "from tidings.__main__ import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print('HEAVY', sorted({HEAVY!r} & set(sys.modules)))"
    )
    answer = run("-c", source)
    assert all(name in answer.stdout for name in COMMANDS)
    assert answer.stdout.endswith("HEAVY []\n")


def test_an_unknown_role_is_refused_with_those_there_are() -> None:
    answer = run("-m", "tidings", "worker", "--roles", "pusch")
    assert answer.returncode == 2
    assert "no role pusch" in answer.stderr
    assert "orchestrator" in answer.stderr


def test_migrate_says_which_database_it_cannot_reach() -> None:
    answer = run("-m", "tidings", "migrate", TIDINGS_DATABASE_URL="postgresql://x@127.0.0.1:9/x")
    assert answer.returncode == 1
    assert answer.stderr.splitlines()[-1].startswith("the database was not migrated: connection failed")
    assert "Traceback" not in answer.stderr


def test_a_mistake_in_the_settings_names_the_variable_and_hides_its_value() -> None:
    answer = run("-m", "tidings", "dev", TIDINGS_SMTP__PORT="secret-value")
    assert answer.returncode == 1
    assert "TIDINGS_SMTP__PORT" in answer.stderr
    assert "secret-value" not in answer.stderr
    assert "Traceback" not in answer.stderr


def test_the_variables_of_a_stack_that_is_gone_are_not_taken(tmp_path: Path) -> None:
    source = (
        "import os, sys; from pathlib import Path; import tidings.environment as e\n"
        "from devstack.state import hold_lock, read_variables, write_variables\n"
        "state = Path(sys.argv[1])\n"
        "with hold_lock(state):\n"
        "    write_variables(state, {'TIDINGS_A': 'theirs', 'TIDINGS_B': 'theirs'})\n"
        "    e.use_running_stack(quiet=False, state=state)\n"
        "    print(os.environ['TIDINGS_A'], os.environ['TIDINGS_B'])\n"
        "del os.environ['TIDINGS_B']\n"
        "e.use_running_stack(quiet=False, state=state)\n"
        "print(os.environ.get('TIDINGS_B'))\n"
    )
    answer = run("-c", source, str(tmp_path), TIDINGS_A="mine")
    assert answer.stdout.split() == ["mine", "theirs", "None"]
    assert answer.stderr.count("using the running stack") == 1
