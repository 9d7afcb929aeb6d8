"""An answer that nobody takes is offered until Temporal is back, so that it does not cost the activity's whole time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.runtime import MetricBuffer, Runtime, TelemetryConfig

from activities.temporal import SEARCH_ATTRIBUTES
from devstack.ports import free_ports
from devstack.processes import Spawner
from devstack.temporal import TemporalServer, start_temporal
from notifications.statuses import Channel
from tests.support.integration import running_rooms, until
from tests.support.postgres import fresh_database
from tests.support.servers import server_folder, settle_temporal
from worker.composition import OFFER_ANSWERS
from worker.roles import Role

SDK_TRIES = 10  # a worker's own; then it gives an answer up


@asynccontextmanager
async def persistent_temporal() -> AsyncIterator[TemporalServer]:
    with server_folder() as folder:
        server = await start_temporal(
            free_ports(1)[0],
            Spawner(lambda _name, _line: None),
            ui_port=None,
            search_attributes=SEARCH_ATTRIBUTES,
            folder=folder / "temporal",
        )
        try:
            yield server
        finally:
            await server.service.take_down()


class RefusedAnswers:
    """Counts the tries to tell Temporal the result of an activity that failed."""

    def __init__(self) -> None:
        self._buffer = MetricBuffer(100_000)
        self.runtime = Runtime(telemetry=TelemetryConfig(metrics=self._buffer))
        self._count = 0

    async def outlast_the_sdk(self) -> bool:
        self._count += sum(
            int(update.value)
            for update in self._buffer.retrieve_updates()
            if update.metric.name == "temporal_request_failure"
            and update.attributes["operation"] == "RespondActivityTaskCompleted"
        )
        return self._count > SDK_TRIES


async def test_an_answer_outlasts_an_outage_of_temporal(postgres_server: str):
    refused = RefusedAnswers()
    async with persistent_temporal() as temporal, fresh_database(postgres_server) as url:
        client = await Client.connect(
            temporal.address,
            data_converter=pydantic_data_converter,
            runtime=refused.runtime,
            retry_config=OFFER_ANSWERS,
        )
        async with running_rooms(client, url) as house:
            hold = house.providers[Channel.SMS].hold_next()
            orchestrator, sms = house.workers(Role.ORCHESTRATOR, Role.SMS)
            async with orchestrator, sms:
                data = {"code": "482915"}
                notification = await house.send(type="auth.otp", recipient=await house.recipient(), data=data)
                await hold.begun.wait()
                await temporal.service.take_down()
                hold.release.set()
                await until(refused.outlast_the_sdk)
                await temporal.service.bring_back()
                assert await house.result(notification) == "done"
            events = (await house.handle(notification).fetch_history()).events
    tries = [
        event.activity_task_started_event_attributes.attempt
        for event in events
        if event.HasField("activity_task_started_event_attributes")
    ]
    assert tries == [1]
    await settle_temporal()
