"""A server that the environment names is looked at, never changed."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from devstack.ports import DEFAULT_PORTS
from devstack.processes import Spawner, StackError
from devstack.servers import Servers
from devstack.steps import run_steps
from devstack.variables import own_accounts, process_environment, sandbox_secret, stack_variables


def servers(folder: Path, environ: dict[str, str]) -> Servers:
    return Servers(DEFAULT_PORTS, Spawner(lambda _name, _line: None), folder=folder, state=folder, environ=environ)


async def run_only(all_steps: Servers, *names: str) -> None:
    await run_steps([step for step in all_steps.steps() if step.name in names], lambda _timing: None)


@pytest.fixture
async def empty_database(postgres_server: str) -> AsyncIterator[str]:
    name = f"empty_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(postgres_server, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
        yield postgres_server.rsplit("/", 1)[0] + f"/{name}"
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def test_a_given_database_is_not_migrated_but_its_owner_is_told_how(tmp_path: Path, empty_database: str) -> None:
    ours = servers(tmp_path, {"TIDINGS_DATABASE_URL": empty_database})
    assert ours.notes == [
        "your own postgres is used: it is not migrated, and neither catalogue nor recipients are written to it"
    ]
    with pytest.raises(StackError, match="python -m tidings migrate"):
        await run_only(ours, "postgres", "migrations", "catalogue", "recipients")
    async with await psycopg.AsyncConnection.connect(empty_database) as connection:
        tables = await connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert await tables.fetchone() == (0,)


async def test_a_given_database_that_is_up_to_date_is_used_as_it_is(tmp_path: Path, database_url: str) -> None:
    ours = servers(tmp_path, {"TIDINGS_DATABASE_URL": database_url})
    await run_only(ours, "postgres", "migrations", "catalogue", "recipients")
    assert ours.database is None
    assert ours.services == {}
    assert ours.endpoints.postgres == database_url


@pytest.mark.real_kafka
async def test_topics_are_not_created_on_a_given_broker(tmp_path: Path, kafka_bootstrap: str) -> None:
    ours = servers(tmp_path, {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap})
    ours._topics = (f"t-{uuid.uuid4().hex}",)
    with pytest.raises(StackError, match=r"topics are missing: t-.*kafka-topics\.sh .*--create"):
        await run_only(ours, "kafka", "topics")
    assert ours.services == {}


def test_a_variable_that_the_user_set_stays(tmp_path: Path) -> None:
    environ = {"TIDINGS_MAX_RETRY_FOR": "5m", "TIDINGS_SMTP__HOST": "smtp.example", "TIDINGS_API_TOKEN": "mine"}
    variables = stack_variables(servers(tmp_path, environ).endpoints, state=tmp_path, environ=environ)
    assert variables["TIDINGS_MAX_RETRY_FOR"] == "5m"
    assert variables["TIDINGS_API_TOKEN"] == "mine"
    assert not any(name.startswith("TIDINGS_SMTP__HOST") for name in variables)
    assert variables["TIDINGS_DEV_SANDBOX_URL"] == "http://127.0.0.1:8025"
    assert variables["TIDINGS_DEV_SANDBOX_SMTP_PORT"] == "1025"


def test_commands_beside_the_stack_know_the_chosen_providers(tmp_path: Path) -> None:
    environ = {"TIDINGS_EMAIL_PROVIDERS": "smtp,sendgrid"}
    variables = stack_variables(servers(tmp_path, {}).endpoints, state=tmp_path, environ=environ)
    assert variables["TIDINGS_EMAIL_PROVIDERS"] == "smtp,sendgrid"
    assert "TIDINGS_SMS_PROVIDERS" not in variables


def test_an_account_of_the_users_own_is_said(tmp_path: Path) -> None:
    environ = {"TIDINGS_TWILIO__ACCOUNT_SID": "AC1"}
    assert own_accounts(environ) == ["twilio"]
    sendgrid = {"TIDINGS_SENDGRID__API_KEY_FILE": "key", "TIDINGS_SMTP__HOST": "smtp.example"}
    assert own_accounts(sendgrid) == ["smtp"], "what is not chosen is not used"
    assert own_accounts({**sendgrid, "TIDINGS_EMAIL_PROVIDERS": "sendgrid, smtp"}) == ["smtp", "sendgrid"]
    assert "TIDINGS_DEV_ALLOW_RECIPIENTS" in servers(tmp_path, environ).notes[0]


def test_processes_keep_compiled_code_even_where_python_is_told_not_to(tmp_path: Path) -> None:
    merged = process_environment({"A": "1"}, state=tmp_path, environ={"PYTHONDONTWRITEBYTECODE": "1", "B": "2"})
    assert merged["PYTHONPYCACHEPREFIX"] == str(tmp_path / "pycache")
    assert "PYTHONDONTWRITEBYTECODE" not in merged
    assert (merged["A"], merged["B"]) == ("1", "2")


def test_sandbox_and_api_share_a_secret_that_stays_the_same(tmp_path: Path) -> None:
    first, second = (
        stack_variables(servers(tmp_path, {}).endpoints, state=tmp_path, environ={})["TIDINGS_DEV_SANDBOX_SECRET"]
        for _ in range(2)
    )
    assert first == second
    assert len(first) >= 32
    assert sandbox_secret(tmp_path, {}) == first
    assert sandbox_secret(tmp_path, {"TIDINGS_DEV_SANDBOX_SECRET": "my own"}) == "my own"
