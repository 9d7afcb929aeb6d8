"""Doctor says what is wrong and prints what mends it; it changes nothing."""

import asyncio
import uuid
from datetime import timedelta

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from pydantic import SecretStr
from temporalio.client import Client

from devstack.checks import database_problem, kafka_problem, namespace_problem, retention_problem, temporal_problem
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


@pytest.mark.real_kafka
async def test_topics_that_outlive_the_ledger_are_named(kafka_bootstrap: str) -> None:
    config = {"bootstrap.servers": kafka_bootstrap}
    names = {kept: f"t-{uuid.uuid4().hex}" for kept in ("604800000", "7776000000", "-1")}
    admin = AdminClient(config)
    topics = [NewTopic(name, num_partitions=1, config={"retention.ms": kept}) for kept, name in names.items()]
    for made in admin.create_topics(topics).values():
        await asyncio.to_thread(made.result, 30)
    problem = await retention_problem(config, list(names.values()), timedelta(days=90))
    assert problem is not None
    assert names["604800000"] not in problem.what
    assert f"{names['7776000000']} (90d)" in problem.what
    assert f"{names['-1']} (for ever)" in problem.what
    assert await retention_problem(config, [names["604800000"]], timedelta(days=90)) is None
    assert await retention_problem(config, list(names.values()), None) is None


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
