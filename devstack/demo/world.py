"""The running stack as the demo uses it: Kafka in, the API and the sandbox's inbox to look at, Temporal to signal."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.temporal import notification_workflow_id
from bridge.kafka_settings import kafka_config
from bridge.producer import EventProducer
from devstack.demo.scenes import Fault, Scene
from devstack.state import Endpoints

_HEADERS = [("content-type", b"application/cloudevents+json")]


@dataclass(frozen=True, kw_only=True)
class World:
    producer: EventProducer
    api: httpx.AsyncClient
    sandbox: httpx.AsyncClient
    temporal: Client

    async def produce(self, scene: Scene) -> None:
        """Put the event into its topic; returns when the broker has it."""
        recipient = scene.event.get("recipient")
        await self.producer.produce(scene.topic, recipient, json.dumps(scene.event).encode(), _HEADERS)

    async def answer(self, scene: Scene) -> dict[str, Any]:
        """What `GET /v1/events` says of it."""
        query = {"source": scene.source, "id": scene.event_id}
        answer: dict[str, Any] = (await self.api.get("/v1/events", params=query)).raise_for_status().json()
        return answer

    async def received(self, message_id: str) -> list[dict[str, Any]]:
        """What the phones and mailboxes got under a message's id; for an SMS see `received_by`."""
        answer = (await self.sandbox.get("/api/inbox", params={"key": message_id})).raise_for_status()
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def break_provider(self, fault: Fault) -> None:
        path = f"/api/faults/{fault.provider}" + (f"/{fault.recipient}" if fault.recipient else "")
        (await self.sandbox.put(path, json=dict(fault.knobs))).raise_for_status()

    async def switch(self, provider: str, *, on: bool) -> None:
        (await self.sandbox.put(f"/api/providers/{provider}", json={"enabled": on})).raise_for_status()

    async def agree_to_offers(self, recipient: str) -> None:
        """What a preference centre would do."""
        choice = {"category": "offers", "channel": "email", "opted_in": True, "source": "demo"}
        url = f"/v1/recipients/{recipient}/preferences"
        (await self.api.put(url, json={"preferences": [choice]})).raise_for_status()

    async def type_retry(self, scene: Scene) -> None:
        """What an operator does in the Temporal UI: Send a Signal, `retry`."""
        await self.temporal.get_workflow_handle(notification_workflow_id(scene.notification_id)).signal("retry")


@asynccontextmanager
async def open_world(endpoints: Endpoints, variables: Mapping[str, str]) -> AsyncIterator[World]:
    token = variables["TIDINGS_API_TOKEN"]
    async with (
        EventProducer(kafka_config(variables), delivery_timeout=15.0) as producer,
        httpx.AsyncClient(base_url=endpoints.api, headers={"authorization": f"Bearer {token}"}, timeout=10.0) as api,
        httpx.AsyncClient(base_url=endpoints.sandbox, timeout=10.0) as sandbox,
    ):
        temporal = await Client.connect(endpoints.temporal, data_converter=pydantic_data_converter)
        yield World(producer=producer, api=api, sandbox=sandbox, temporal=temporal)
