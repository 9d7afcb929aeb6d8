"""Doctor says what is wrong and prints what mends it; it changes nothing."""

import uuid

import psycopg
import pytest
from pydantic import SecretStr
from temporalio.client import Client

from devstack.checks import database_problem, kafka_problem, namespace_problem, temporal_problem
from devstack.sandbox.server import Sandbox, SandboxOptions
from notifications.settings import Settings
from notifications.statuses import Channel
from tidings.findings import check_api, check_providers, check_workers
from worker.roles import Role


async def test_a_migrated_database_has_no_problem(database_url: str) -> None:
    assert await database_problem(SecretStr(database_url)) is None


async def test_a_database_that_is_behind_is_mended_by_migrate(postgres_server: str) -> None:
    name = f"empty_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(postgres_server, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
        problem = await database_problem(SecretStr(postgres_server.rsplit("/", 1)[0] + f"/{name}"))
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    assert problem is not None
    assert problem.mend == "python -m tidings migrate"


async def test_a_database_that_does_not_answer_is_said_without_the_password() -> None:
    problem = await database_problem(SecretStr("postgresql://x:geheim@127.0.0.1:9/x"))
    assert problem is not None
    assert problem.what.startswith("PostgreSQL does not answer: ")
    assert "geheim" not in str(problem)


async def test_no_database_at_all_is_said() -> None:
    problem = await database_problem(None)
    assert problem is not None
    assert "TIDINGS_DATABASE_URL" in problem.what


async def test_a_broker_that_does_not_answer_is_said() -> None:
    problem = await kafka_problem({"bootstrap.servers": "127.0.0.1:9"}, ["a"], partitions=4, timeout_seconds=1)
    assert problem is not None
    assert problem.what.startswith("Kafka does not answer at 127.0.0.1:9")


async def test_our_own_namespace_has_no_problem(temporal_client: Client) -> None:
    assert await namespace_problem(temporal_client) is None


async def test_a_namespace_that_is_missing_is_mended_by_its_command(temporal_address: str) -> None:
    client = await Client.connect(temporal_address, namespace="nowhere")
    problem = await namespace_problem(client)
    assert problem is not None
    assert problem.mend.startswith("temporal operator namespace create --namespace nowhere")


async def test_temporal_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:9")
    problem = await temporal_problem()
    assert problem is not None
    assert problem.what.startswith("Temporal does not answer")


async def test_queues_that_nobody_polls_are_mended_by_a_worker(temporal_client: Client) -> None:
    finding = await check_workers(temporal_client, Role.BULK)
    assert not finding.ok
    assert "bulk-email" in finding.detail
    assert finding.mend == "python -m tidings worker --roles bulk"


async def test_a_provider_without_credentials_names_the_variable() -> None:
    settings = Settings(sms_providers=("twilio",))
    (finding,) = await check_providers(settings, Channel.SMS)
    assert not finding.ok
    assert "TIDINGS_TWILIO__" in finding.detail


async def test_sendgrid_is_asked_whether_its_key_may_send() -> None:
    sandbox = Sandbox(SandboxOptions(http_port=0, smtp_port=0))
    await sandbox.start()
    settings = Settings(email_providers=("sendgrid",), dev_sandbox_url=sandbox.http_url)
    (finding,) = await check_providers(settings, Channel.EMAIL)
    assert finding.ok
    sandbox.board.enable("sendgrid", enabled=False)
    (finding,) = await check_providers(settings, Channel.EMAIL)
    assert not finding.ok
    assert "sendgrid_http_503" in finding.detail
    await sandbox.stop()


async def test_an_api_that_does_not_run_is_mended_by_starting_it() -> None:
    (finding,) = await check_api(Settings(api_port=9))
    assert finding.mend == "python -m tidings api"
