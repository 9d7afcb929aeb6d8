"""The servers of the test run answer as the real ones they are."""

import uuid

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from temporalio import workflow
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.temporal import DEFINITION, SEARCH_ATTRIBUTES
from devstack.temporal import registered_attributes


async def test_postgres_is_version_18_in_utc(postgres_server: str) -> None:
    async with await psycopg.AsyncConnection.connect(postgres_server) as connection:
        assert connection.info.server_version // 10000 == 18


async def test_temporal_knows_our_search_attributes(temporal_client: Client) -> None:
    assert {key.name for key in SEARCH_ATTRIBUTES} <= await registered_attributes(temporal_client)


@workflow.defn
class Nothing:
    @workflow.run
    async def run(self) -> None:
        """End at once: a workflow whose task nobody takes would stop the server's clock for every later test."""


async def test_the_time_skipping_server_knows_them_too(time_skipping: WorkflowEnvironment) -> None:
    queue = f"t-{uuid.uuid4().hex}"
    runner = UnsandboxedWorkflowRunner()
    async with Worker(time_skipping.client, task_queue=queue, workflows=[Nothing], workflow_runner=runner):
        await time_skipping.client.execute_workflow(
            Nothing.run,
            id=queue,
            task_queue=queue,
            search_attributes=TypedSearchAttributes([SearchAttributePair(DEFINITION, "payment.succeeded")]),
        )


def test_kafka_takes_a_record_for_a_topic_that_is_new(kafka_bootstrap: str) -> None:
    producer = Producer({"bootstrap.servers": kafka_bootstrap, "message.timeout.ms": 20000})
    answers: list[object] = []
    producer.produce(f"t-{uuid.uuid4().hex}", b"x", on_delivery=lambda error, _record: answers.append(error))
    producer.flush(20)
    assert answers == [None]


@pytest.mark.real_kafka
def test_the_real_broker_has_an_admin_api(kafka_bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    assert admin.list_consumer_groups(request_timeout=20).result().errors == []
